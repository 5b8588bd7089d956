"""Workloads of Kubernetes, for the kinds of targets that are one: what the API server says of them, and how they are changed."""
