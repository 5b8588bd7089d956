"""Plug-ins by kind: the interface of each kind, and the registry that finds them."""
