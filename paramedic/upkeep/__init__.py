"""Backup, restore, retention, sealed segments and checkpoints."""
