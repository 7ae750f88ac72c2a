"""The output of `sanicGuider migrate`."""
