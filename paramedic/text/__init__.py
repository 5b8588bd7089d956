"""Text from people and systems: parsed, bounded, redacted, escaped."""
