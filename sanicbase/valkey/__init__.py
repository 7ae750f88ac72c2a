"""The project's own Valkey, embedded for development and tests."""
