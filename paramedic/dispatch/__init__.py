"""From the outbox to Prefect."""
