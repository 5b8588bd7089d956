"""Samples of checks, taken side by side."""
