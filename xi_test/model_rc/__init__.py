"""The cache models of xi_test."""
