"""Targets: one module for each kind."""
