"""The cache models of conduit."""
