"""The main job, once, for real: a service breaks, is healed, and a second one that cannot be healed finds its person."""
