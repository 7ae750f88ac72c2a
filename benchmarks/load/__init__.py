"""The load generator: a process of its own that asks a server over raw sockets and counts what comes back."""
