"""What shop keeps in Redis."""
