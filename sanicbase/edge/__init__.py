"""HTTP/1.1 and WebSockets on a connection: strict parsing of requests (RFC 9112) and frames (RFC 6455), responses in
one write, and deadlines.

It replaces Sanic's own reader and writer below Sanic's routing, requests, middleware and views. `EDGE = "sanic"`
switches back for HTTP.
"""
