"""What the machine gives: clock, files, ports, processes."""
