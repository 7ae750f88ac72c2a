"""`/livez` and `/readyz`: whether the process works, and whether it should be given requests.

The two questions are Kubernetes' (https://kubernetes.io/docs/reference/using-api/health-checks/). A service that lacks
its cache still answers: it is degraded, and ready. One that lacks its database is not ready. Neither is dead, for a
restart would mend neither.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

import orjson
from sanic.request import Request
from sanic.response import HTTPResponse

from sanicbase.lifespan import Resource
from sanicbase.typing import App

__all__ = ["Health", "install_health"]

logger = logging.getLogger("sanicbase.health")

PATIENCE = 1.0  # seconds that one resource may take; the others do not wait for it
FRESH = 0.5  # seconds for which an answer serves everybody who asks

Finding = dict[str, str | float]


def install_health(app: App) -> None:
    """Serve `/livez` and `/readyz`. The app's context tells `resources` and `draining`."""
    health = Health()

    async def livez(request: Request) -> HTTPResponse:
        return _answer({"status": "alive"}, 200)

    async def readyz(request: Request) -> HTTPResponse:
        if app.ctx.draining:
            return _answer({"status": "draining"}, 503)
        status, findings = await health.look(app.ctx.resources)
        return _answer({"status": status, "resources": findings}, 503 if status == "unready" else 200)

    app.add_route(livez, "/livez", name="livez")
    app.add_route(readyz, "/readyz", name="readyz")


class Health:
    """The state of a process's resources, looked at no more often than every FRESH seconds however many ask.

    Owned by one app in one event loop. A caller that is cancelled does not cancel the look for the others.
    """

    def __init__(self) -> None:
        self._look: asyncio.Task[dict[str, Finding]] | None = None
        self._begun = 0.0

    async def look(self, resources: Sequence[Resource]) -> tuple[str, dict[str, Finding]]:
        """`ready`, `degraded` or `unready`, and what each resource said: its status and how long it took, in ms."""
        if self._look is None or (self._look.done() and time.monotonic() - self._begun > FRESH):
            self._begun = time.monotonic()
            self._look = asyncio.create_task(_ping_all(resources))
        findings = await asyncio.shield(self._look)
        down = [each for each in resources if findings[each.name]["status"] != "ok"]
        if not down:
            return "ready", findings
        return "unready" if any(getattr(each, "critical", True) for each in down) else "degraded", findings


async def _ping_all(resources: Sequence[Resource]) -> dict[str, Finding]:
    findings = await asyncio.gather(*(_ping(resource) for resource in resources))
    return {resource.name: finding for resource, finding in zip(resources, findings, strict=True)}


async def _ping(resource: Resource) -> Finding:
    begun = time.perf_counter()
    try:
        async with asyncio.timeout(PATIENCE):
            await resource.ping()
    except TimeoutError:
        status = "silent"
    except Exception as exc:  # whatever a service's own resource raises; strangers are told no more than that
        logger.warning("%s: %s", resource.name, exc)
        status = "down"
    else:
        status = "ok"
    return {"status": status, "ms": round((time.perf_counter() - begun) * 1000, 1)}


def _answer(content: dict[str, object], status: int) -> HTTPResponse:
    return HTTPResponse(orjson.dumps(content), status, {"cache-control": "no-store"}, content_type="application/json")
