"""The main process with its supervisor, and the workers that serve."""
