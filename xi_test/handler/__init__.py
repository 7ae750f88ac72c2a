"""The logic of xi_test. It knows nothing of HTTP: views, scripts and WebSockets call it."""
