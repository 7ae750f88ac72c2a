"""Checks migrations before they are applied: finds what may fail, lose data or block others."""
