"""What authors write: runbooks, checks, services.yaml."""
