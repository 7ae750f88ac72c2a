"""A service as the guides of sanicbase teach it."""
