"""How clients reach shop."""
