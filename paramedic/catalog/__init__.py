"""The catalog: the runbooks, checks and services.yaml that authors write."""
