"""What people are told: the texts and their signed links."""
