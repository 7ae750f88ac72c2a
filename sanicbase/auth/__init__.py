"""Who a client is: bearer tokens, and sessions with signed tokens.

The names in the stub are imported on first use: a script that stores the digest of a token needs no HTTP.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
