"""What the tables of models are, how two states of them differ, and the SQL that makes the one from the other."""
