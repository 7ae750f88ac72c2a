"""Looking a service over: each check yields findings, which are values."""
