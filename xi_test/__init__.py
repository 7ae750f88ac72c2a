"""An example service: articles and comments, written by users with a token."""
