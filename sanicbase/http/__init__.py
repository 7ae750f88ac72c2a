"""HTTP: views, the envelope of their answers, the rules of routes."""

from sanicbase.http.envelope import Page, success
from sanicbase.http.view import APIView

__all__ = ["APIView", "Page", "success"]
