"""Dispatch: from the outbox to Prefect."""
