"""How bytes reach a system: local commands and HTTP, each with a deadline."""
