"""Who is on call, and how each person is reached."""
