"""Remediation: targets, remedies, health, guardrails, approvals, pauses."""
