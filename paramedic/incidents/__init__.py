"""Incidents: their states, outcomes, evidence and report."""
