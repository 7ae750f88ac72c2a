"""Adding pieces to a service that is there: which lines go where, and nobody's own lines touched."""
