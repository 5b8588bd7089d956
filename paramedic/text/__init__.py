"""Text from people and systems: parsing, bounds, redaction, escaping."""
