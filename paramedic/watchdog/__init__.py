"""The watchdog: the second pair of eyes, which needs neither Prefect nor the store to tell a person."""
