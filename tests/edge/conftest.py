"""Apps served inside the test's own process, as in tests/http."""

from tests.http.conftest import serve_as

__all__ = ["serve_as"]
