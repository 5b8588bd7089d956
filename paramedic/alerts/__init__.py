"""What senders say: alerts, what they are about, and matchers."""
