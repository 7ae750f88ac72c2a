"""The parameters of a view: where each comes from, and how it is read from a request."""
