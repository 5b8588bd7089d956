"""One file for each kind of evidence that is not a target kind's own."""
