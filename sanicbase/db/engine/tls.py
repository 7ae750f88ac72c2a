"""TLS of a driver's connections: their context and their errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ssl import SSLContext

from sanicbase.config.tls import SETTING, TLS, TLSFailure, TLSOptions, explain
from sanicbase.db.errors import DatabaseTLSError
from sanicbase.i18n import gettext as _

__all__ = ["MYSQL_TLS", "POSTGRES_TLS", "ssl_context", "translated_tls_errors"]

POSTGRES_TLS = TLSOptions("sslmode=disable", "sslrootcert", "sslmode=require", "sslmode=verify-ca")
MYSQL_TLS = TLSOptions("ssl_mode=DISABLED", "ssl_ca", "ssl_mode=REQUIRED", "ssl_mode=VERIFY_CA")


def ssl_context(tls: TLS | SSLContext) -> SSLContext:
    """The context of an engine's connections. Raises DatabaseTLSError when a file cannot be used."""
    if isinstance(tls, SSLContext):
        return tls
    try:
        return tls.context()
    except ValueError as exc:
        raise DatabaseTLSError(TLSFailure(str(exc), _("Correct {setting}", setting=SETTING))) from exc


@contextmanager
def translated_tls_errors(options: TLSOptions) -> Iterator[None]:
    """Raise DatabaseTLSError for a TLS handshake that fails in the block; other errors propagate."""
    try:
        yield
    except Exception as exc:
        if not isinstance(exc, DatabaseTLSError) and (failure := explain(exc, options)):
            raise DatabaseTLSError(failure) from exc
        raise
