"""What `sanicGuider migrate` shows."""
