"""Alerts as senders report them, the objects that they are about, and matchers."""
