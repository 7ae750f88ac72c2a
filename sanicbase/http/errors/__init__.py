"""Errors of requests: exceptions, their mapping to problems, and the messages for clients."""
