"""The tables of xi_test."""
