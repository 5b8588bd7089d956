"""How a value is measured: one module for each kind of probe."""
