"""The checks of `sanicGuider doctor`; each yields findings."""
