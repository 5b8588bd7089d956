"""Who is on call, and each person's contact methods."""
