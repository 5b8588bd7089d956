"""What senders post, read: one module for each kind of sender, found by its name (`paramedic.kinds`)."""
