"""The watchdog: an independent process, which needs neither Prefect nor the store to page a person."""
