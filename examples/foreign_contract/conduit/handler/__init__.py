"""What conduit does, without a word of HTTP."""
