"""Validation by pydantic whose cost is bounded, whatever a client sends."""
