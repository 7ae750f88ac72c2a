"""The logic of conduit, without HTTP."""
