"""An example service: articles and comments, written by people who sign in, and by scripts."""
