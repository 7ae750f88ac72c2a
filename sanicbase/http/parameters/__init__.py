"""The parameters of a view: the source of each, and how it is read from a request."""
