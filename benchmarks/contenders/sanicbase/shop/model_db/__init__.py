"""The tables of shop."""
