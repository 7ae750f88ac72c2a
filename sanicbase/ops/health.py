"""`/livez` and `/readyz`: whether the process works, and whether it should receive requests.

The two checks are Kubernetes' (https://kubernetes.io/docs/reference/using-api/health-checks/). A service
without its cache still answers: it is degraded, and ready. One without its database is not ready. Both are alive,
because a restart would help neither.
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
from sanicbase.server.context import ERROR_FORMAT, App

__all__ = ["Health", "install_health"]

logger = logging.getLogger("sanicbase.health")

PING_TIMEOUT = 1.0  # seconds for each resource; they are pinged at the same time
MAX_AGE = 0.5  # seconds for which a result is returned again

ResourceHealth = dict[str, str | float]


def install_health(app: App) -> None:
    """Serve `/livez` and `/readyz`."""
    health = Health()

    async def livez(request: Request) -> HTTPResponse:
        return _response({"status": "alive"}, 200)

    async def readyz(request: Request) -> HTTPResponse:
        if app.ctx.draining:
            return _response({"status": "draining"}, 503)
        status, resources = await health.check(app.ctx.resources)
        return _response({"status": status, "resources": resources}, 503 if status == "unready" else 200)

    app.add_route(livez, "/livez", name="livez", error_format=ERROR_FORMAT)
    app.add_route(readyz, "/readyz", name="readyz", error_format=ERROR_FORMAT)


class Health:
    """The health of a process's resources, checked at most once in MAX_AGE seconds.

    Owned by one app in one event loop. A caller that is cancelled does not cancel the check for the others.
    """

    def __init__(self) -> None:
        self._check: asyncio.Task[dict[str, ResourceHealth]] | None = None
        self._started = 0.0

    async def check(self, resources: Sequence[Resource]) -> tuple[str, dict[str, ResourceHealth]]:
        """`ready`, `degraded` or `unready`, and for each resource its status and the duration of its ping in ms."""
        if self._check is None or (self._check.done() and time.monotonic() - self._started > MAX_AGE):
            self._started = time.monotonic()
            self._check = asyncio.create_task(_ping_all(resources))
        results = await asyncio.shield(self._check)
        down = [resource for resource in resources if results[resource.name]["status"] != "ok"]
        if not down:
            return "ready", results
        return "unready" if any(getattr(resource, "critical", True) for resource in down) else "degraded", results


async def _ping_all(resources: Sequence[Resource]) -> dict[str, ResourceHealth]:
    results = await asyncio.gather(*(_ping(resource) for resource in resources))
    return {resource.name: result for resource, result in zip(resources, results, strict=True)}


async def _ping(resource: Resource) -> ResourceHealth:
    started = time.perf_counter()
    try:
        async with asyncio.timeout(PING_TIMEOUT):
            await resource.ping()
    except TimeoutError:
        status = "silent"
    except Exception as exc:  # any exception of a service's own resource; its text is for the log only
        logger.warning("%s: %s", resource.name, exc)
        status = "down"
    else:
        status = "ok"
    return {"status": status, "ms": round((time.perf_counter() - started) * 1000, 1)}


def _response(content: dict[str, object], status: int) -> HTTPResponse:
    return HTTPResponse(orjson.dumps(content), status, {"cache-control": "no-store"}, content_type="application/json")
