"""Channels to people: one module for each kind."""
