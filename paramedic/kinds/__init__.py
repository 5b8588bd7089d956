"""What can be plugged in, by kind: its face, and where its file is found."""
