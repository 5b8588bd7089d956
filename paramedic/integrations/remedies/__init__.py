"""What is done beside the system that owns a target: moving its release back, running its declared commands."""
