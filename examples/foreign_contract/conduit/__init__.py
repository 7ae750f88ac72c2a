"""A service that other people's clients know already: their bodies, their tokens, their errors, their paths.

Nothing of sanicbase is replaced for it. `contract.py` says what answers look like, `base_api.py` who comes in.
"""
