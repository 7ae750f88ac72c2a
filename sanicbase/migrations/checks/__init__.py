"""What may go wrong when migrations are applied to the databases as they are, found before it does."""
