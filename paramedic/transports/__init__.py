"""Transports: local commands, connections, files and HTTP, each with a deadline."""
