"""Targets that are processes: how units of systemd are looked at and changed, and what proves a reload."""
