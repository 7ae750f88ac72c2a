"""Comparing servers: what is asked of them, how they are started and measured, and what is written about it."""
