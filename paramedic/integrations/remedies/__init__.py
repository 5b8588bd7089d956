"""Remedies that no kind of target owns: rolling back a release, running declared commands."""
