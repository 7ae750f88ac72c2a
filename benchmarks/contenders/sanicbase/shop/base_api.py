"""Who may come in: everybody."""

from sanicbase import APIView


class BaseAPI(APIView, public=True):
    """The base of every view."""
