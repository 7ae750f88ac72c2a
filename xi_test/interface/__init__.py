"""The HTTP and WebSocket views of xi_test."""
