"""What a process is told and tells: its role, its parent, signals, cancellations, limits, systemd."""
