"""HTTP: views, their guards, parameters and responses, the envelope, errors, and the OpenAPI document."""

from sanicbase.db import Page
from sanicbase.http.deprecation import Deprecation, deprecate
from sanicbase.http.envelope import Envelope, PlainEnvelope, ProblemEnvelope, success
from sanicbase.http.errors.exceptions import FieldError
from sanicbase.http.errors.problem import Problem
from sanicbase.http.parameters.form_body import UploadedFile
from sanicbase.http.parameters.params import Cookie, Header, Query
from sanicbase.http.raises import raises
from sanicbase.http.request import Request, RequestContext
from sanicbase.http.return_types import Accepted, Created, NoContent
from sanicbase.http.views import APIView, endpoint

__all__ = [
    "APIView",
    "Accepted",
    "Cookie",
    "Created",
    "Deprecation",
    "Envelope",
    "FieldError",
    "Header",
    "NoContent",
    "Page",
    "PlainEnvelope",
    "Problem",
    "ProblemEnvelope",
    "Query",
    "Request",
    "RequestContext",
    "UploadedFile",
    "deprecate",
    "endpoint",
    "raises",
    "success",
]
