"""Checks that Paramedic measures itself: conditions, thresholds and their charts."""
