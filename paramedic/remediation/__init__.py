"""What is acted on and what must hold before: targets, remedies, health, guardrails, approvals, pauses."""
