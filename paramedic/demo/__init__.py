"""The demo: four incidents on a real service, which hangs, leaks, gets a bad release, and is beyond help."""
