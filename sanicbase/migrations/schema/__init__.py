"""The tables of models, the differences between two states of them, and the SQL that migrates between them."""
