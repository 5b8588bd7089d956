"""Signals that services.yaml may name."""

from typing import Literal

#: By which programs read their configuration again: none that ends a program that handles it, and none that cannot be handled.
ReloadSignal = Literal["HUP", "USR1", "USR2"]
