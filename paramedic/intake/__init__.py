"""Intake: every alert from the inbox gets a decision and its consequence."""
