"""The main job, four times, for real: a service hangs, leaks, gets a bad release, and is beyond help."""
