"""How clients reach xi_test: HTTP and WebSocket."""
