"""Validation by pydantic with a limited cost, whatever a client sends."""
