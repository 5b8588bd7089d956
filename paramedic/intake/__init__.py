"""Alerts from the inbox: each gets a decision and its consequence."""
