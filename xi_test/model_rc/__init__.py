"""What xi_test keeps in Redis."""
