"""HTTP: views, the envelope of their answers, the rules of routes."""

from sanicbase.db import Page
from sanicbase.http.envelope import success
from sanicbase.http.view import APIView

__all__ = ["APIView", "Page", "success"]
