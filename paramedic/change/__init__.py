"""A change to production and the moment before it, without Prefect."""
