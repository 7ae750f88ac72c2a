"""Adds components to an existing service without changing the author's lines."""
