"""HTTP: views, the envelope of their answers, the rules of routes."""

from sanicbase.db import Page
from sanicbase.http.deprecation import Deprecation, deprecate
from sanicbase.http.endpoint import endpoint
from sanicbase.http.envelope import Envelope, PlainEnvelope, ProblemEnvelope, success
from sanicbase.http.failure import Failure, Fault
from sanicbase.http.form_body import UploadedFile
from sanicbase.http.markers import Cookie, Header, Query
from sanicbase.http.raises import raises
from sanicbase.http.returned import Accepted, Created, NoContent
from sanicbase.http.view import APIView

__all__ = [
    "APIView",
    "Accepted",
    "Cookie",
    "Created",
    "Deprecation",
    "Envelope",
    "Failure",
    "Fault",
    "Header",
    "NoContent",
    "Page",
    "PlainEnvelope",
    "ProblemEnvelope",
    "Query",
    "UploadedFile",
    "deprecate",
    "endpoint",
    "raises",
    "success",
]
