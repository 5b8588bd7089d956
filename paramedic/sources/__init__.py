"""Sources: one module for each kind of sender, found by its name (`paramedic.kinds`)."""
