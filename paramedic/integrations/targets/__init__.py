"""What is acted on: one module for each kind of target."""
