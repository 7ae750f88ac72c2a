"""HTTP: views, their guards, parameters and responses, the envelope, errors, and the OpenAPI document."""

from sanicbase.db import Page
from sanicbase.http.cors import CORS
from sanicbase.http.deadline import deadline_headers, time_left
from sanicbase.http.declared_errors import raises
from sanicbase.http.deprecation import Deprecation, deprecate
from sanicbase.http.envelope import Envelope, PlainEnvelope, ProblemEnvelope, success
from sanicbase.http.errors.exceptions import FieldError, InvalidCredentials
from sanicbase.http.errors.problem import Problem
from sanicbase.http.events import Event, EventStream
from sanicbase.http.files.upload import FileUpload
from sanicbase.http.idempotency import idempotent
from sanicbase.http.limits import RateLimit, SignInBrake
from sanicbase.http.parameters.form_body import UploadedFile
from sanicbase.http.parameters.params import Cookie, Header, Query, Upload
from sanicbase.http.preconditions import IfMatch, Version
from sanicbase.http.request import Request, RequestContext
from sanicbase.http.return_types import Accepted, Created, Download, NoContent
from sanicbase.http.static_files import static
from sanicbase.http.tracing import trace_headers
from sanicbase.http.views import APIView, endpoint

__all__ = [
    "CORS",
    "APIView",
    "Accepted",
    "Cookie",
    "Created",
    "Deprecation",
    "Download",
    "Envelope",
    "Event",
    "EventStream",
    "FieldError",
    "FileUpload",
    "Header",
    "IfMatch",
    "InvalidCredentials",
    "NoContent",
    "Page",
    "PlainEnvelope",
    "Problem",
    "ProblemEnvelope",
    "Query",
    "RateLimit",
    "Request",
    "RequestContext",
    "SignInBrake",
    "Upload",
    "UploadedFile",
    "Version",
    "deadline_headers",
    "deprecate",
    "endpoint",
    "idempotent",
    "raises",
    "static",
    "success",
    "time_left",
    "trace_headers",
]
