"""The OpenAPI 3.1 document of a service, generated from the signatures of its views."""

from sanicbase.http.openapi.changes import breaking_changes
from sanicbase.http.openapi.document import DESCRIPTIONS, Info, document, info_of
from sanicbase.http.openapi.serving import install_openapi

__all__ = ["DESCRIPTIONS", "Info", "breaking_changes", "document", "info_of", "install_openapi"]
