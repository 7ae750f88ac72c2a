"""What an operator sees of a running service: counted by its processes, served by its main process on a Unix socket of
its account, and turned into figures where it is shown (`sanicGuider top`)."""
