"""Generates a model from an existing table."""
