"""Paramedic, the first responder of production systems."""

__version__ = "0.1.0"
