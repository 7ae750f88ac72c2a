"""The tables of conduit."""
