"""The moment before a change to production, without Prefect."""
