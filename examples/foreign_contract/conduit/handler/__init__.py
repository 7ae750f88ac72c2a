"""The business logic of conduit, independent of HTTP."""
