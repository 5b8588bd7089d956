"""The machine: clocks, files, ports, processes."""
