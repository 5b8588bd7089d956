"""Containers of a Docker Engine, for the kind of target that they are: looks, owners, and what makes another one like it."""
