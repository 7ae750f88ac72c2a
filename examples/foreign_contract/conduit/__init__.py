"""Conduit: the RealWorld contract, for existing clients: their bodies, tokens, errors and paths.

Nothing of sanicbase is replaced for it. `contract.py` says what answers look like, `base_api.py` who comes in.
"""
