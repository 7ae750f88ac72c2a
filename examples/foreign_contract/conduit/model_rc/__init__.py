"""What conduit keeps in Redis."""
