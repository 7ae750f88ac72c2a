"""What xi_test does, without a word of HTTP: interface, scripts and WebSockets call it alike."""
