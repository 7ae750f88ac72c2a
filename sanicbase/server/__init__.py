"""The main process with its supervisor, and the worker processes."""
