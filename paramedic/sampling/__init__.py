"""Samples of checks, taken in parallel."""
