"""The operating system's side of a process: role, parent, signals, cancellation, limits, systemd."""
