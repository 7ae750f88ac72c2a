"""Conduit: an implementation of the RealWorld contract, with the bodies, tokens, errors and paths of existing clients.

It replaces no part of sanicbase. `contract.py` defines the format of responses, `base_api.py` the authentication.
"""
