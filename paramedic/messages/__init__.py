"""Messages to people: their texts and signed links."""
