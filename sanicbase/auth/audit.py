"""The audit trail: what happened to sessions, passwords, keys and permissions, as log events and, by choice, as rows.

| event | facts |
|---|---|
| `signed_in` | `user`, `session` |
| `sign_in_refused` | `user`, if there is such an account |
| `signed_out` | `session` |
| `signed_out_everywhere` | `user`, `ended` |
| `refresh_reused` | `user`, `session` |
| `token_requested` | `user`, if there is such an account; `reason` |
| `password_chosen`, `password_changed`, `password_refused` | `user` |
| `api_key_created`, `api_key_revoked` | `user`, `key` |
| `permission_denied` | `user`, `action`; in the log only |

No fact is a secret. The name of an unknown account is not among them: people type passwords into that field.
"""

from __future__ import annotations

import logging
from typing import Any

from sanic.exceptions import ServerError

from sanicbase.auth.tables import MAX_TEXT, AuditRecord
from sanicbase.db import transaction
from sanicbase.db.engine.transactions import may_be_in_transaction
from sanicbase.db.observers import open_models
from sanicbase.errors import NotOpenError
from sanicbase.http.limits.identity import client_address
from sanicbase.http.request import Request
from sanicbase.log.context import current_context
from sanicbase.rc.clients import namespace

__all__ = ["log_audit", "record_audit"]

logger = logging.getLogger("sanicbase.audit")

WARNINGS = ("sign_in_refused", "refresh_reused", "password_refused", "permission_denied")


def log_audit(event: str, *, user: object = "", **facts: object) -> None:
    """Write an event to the log, on the logger `sanicbase.audit`. The object `audit` in its `extra` has the event, the
    user, the client and the facts. Pass no secrets."""
    level = logging.WARNING if event in WARNINGS else logging.INFO
    audit = {"event": event, "user": str(user), "client": _client(), **facts}
    logger.log(level, "Audit: %s.", event, extra={"audit": audit})


async def record_audit(event: str, *, user: object = "", **facts: object) -> None:
    """Write an event to the log, and to the table if the service has an AuditRecord. Inside a transaction on the same
    database, the row is committed with it. A row that cannot be written is in the log only, with the reason."""
    log_audit(event, user=user, **facts)
    if (model := _model()) is None:
        return
    values: dict[str, Any] = {
        "event": event[:40],
        "user": str(user)[:MAX_TEXT],
        "client": _client()[:64],
        "request": current_context().request_id[:64],
        "facts": facts,
    }
    try:
        if may_be_in_transaction():
            # PostgreSQL aborts the transaction of a statement that fails, unless it is inside a savepoint.
            async with transaction(model._meta.default_connection or "default"):  # noqa: SLF001
                await model.create(**values)
        else:
            await model.create(**values)
    except Exception:
        logger.exception("The audit record of %s could not be written.", event)


def _model() -> type[AuditRecord] | None:
    """The service's own table; one of another service, in MODEL_EXTRA, is not written to."""
    try:
        service = namespace()
    except NotOpenError:
        return None
    for model in open_models():
        label, connection = model._meta.app, model._meta.default_connection  # noqa: SLF001  (Tortoise has no other way)
        if issubclass(model, AuditRecord) and label in (service, f"{service}_{connection}"):
            return model
    return None


def _client() -> str:
    """The address of the client of this request; empty outside of one."""
    try:
        return client_address(Request.get_current())
    except (ServerError, LookupError):
        return ""
