"""From a table that is there to the model of a service that reads and writes it."""
