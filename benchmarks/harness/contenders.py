"""The contenders: which files they are, how they are started, and in which environment."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.harness.paths import RESULTS
from benchmarks.harness.scenarios import Scenario

BASELINE = "Sanic"
LIBRARY_BASELINE = "redis-py"


@dataclass(frozen=True)
class Contender:
    """One column of the table. `command` is given to the Python of `environment`, in `folder`."""

    name: str
    environment: str
    folder: str
    command: tuple[str, ...]
    websocket_command: tuple[str, ...] = ()
    """Another command for WebSockets, where they are a service of their own."""
    variables: Mapping[str, str] = field(default_factory=dict)
    stop: signal.Signals = signal.SIGTERM
    envelope: bool = False
    """JSON is in the standard envelope of sanicbase, which is checked and taken off."""
    is_library: bool = False
    """It has no server: it reads a cache in its own process."""
    only: frozenset[str] = frozenset()
    """The scenarios that it takes part in; empty for all."""
    without: frozenset[str] = frozenset()
    """The scenarios that it cannot, or need not, take part in."""

    def takes_part_in(self, scenario: Scenario) -> bool:
        """Whether it is asked to."""
        if self.is_library != scenario.is_library or scenario.name in self.without:
            return False
        return not self.only or scenario.name in self.only

    def command_for(self, kind: str) -> tuple[str, ...]:
        """What starts it for a scenario of that kind."""
        return self.websocket_command if kind in ("echo", "room") and self.websocket_command else self.command


def _uvicorn() -> tuple[str, ...]:
    return ("-m", "uvicorn", "app:app", "--port", "{port}", "--no-access-log", "--log-level", "warning")


def _granian(app: str) -> tuple[str, ...]:
    options = ("--interface", "asgi", "--workers", "1", "--port", "{port}", "--log-level", "warning")
    return ("-m", "granian", *options, app)


PRODUCTION = {"SHOP_ENV": "prod", "SHOP_LOG_DIR": str(RESULTS / "logs"), "SHOP_START_TIMEOUT": "180"}
EVERYTHING = {**PRODUCTION, "SHOP_ACCESS_LOG": "true"}
FEATURES_OFF = {**PRODUCTION, "SHOP_ENVELOPE": "plain", "SHOP_ACCESS_LOG": "false"}
SHOP = ("http_shop.py",)
SOCKETS = ("ws_shop.py",)
WEBSOCKETS = frozenset({"echo", "broadcast"})
# Another server below the same application: where databases answer, it makes no difference that is worth the time.
OF_SERVERS = frozenset({"plaintext", "json", "post", "cached", "echo", "broadcast", "start-1"})

CONTENDERS = (
    Contender(BASELINE, "sanic", "sanic", ("app.py",)),
    Contender("sanicbase", "sanicbase", "sanicbase", SHOP, SOCKETS, EVERYTHING, envelope=True),
    Contender("sanicbase, features off", "sanicbase", "sanicbase", SHOP, SOCKETS, FEATURES_OFF),
    # What nothing on this event loop can be faster than.
    Contender("constant bytes", "sanic", "constant", ("app.py",), only=frozenset({"plaintext", "json"})),
    # Its WebSockets are bare Sanic's.
    Contender("Sanic, Tortoise", "tortoise", "sanic_tortoise", ("app.py",), without=WEBSOCKETS),
    Contender("FastAPI", "fastapi", "fastapi", _uvicorn()),
    Contender("Litestar", "litestar", "litestar", _uvicorn()),
    Contender("BlackSheep", "blacksheep", "blacksheep", _uvicorn()),
    # It does not stop by SIGTERM, and takes ten seconds by SIGINT.
    Contender("Robyn", "robyn", "robyn", ("app.py", "--log-level", "WARN", "--disable-openapi"), stop=signal.SIGKILL),
    # Under ASGI the WebSockets of Sanic have no `async for`, and those of sanicbase need its own server.
    Contender("Sanic on granian", "sanic", "sanic", _granian("app:app"), only=OF_SERVERS - WEBSOCKETS),
    Contender(
        "sanicbase on granian",
        "sanicbase",
        "sanicbase",
        _granian("http_shop:app"),
        variables=EVERYTHING,
        envelope=True,
        only=OF_SERVERS - WEBSOCKETS,
    ),
    Contender("FastAPI on granian", "fastapi", "fastapi", _granian("app:app"), only=OF_SERVERS),
    Contender("Litestar on granian", "litestar", "litestar", _granian("app:app"), only=OF_SERVERS),
    Contender("BlackSheep on granian", "blacksheep", "blacksheep", _granian("app:app"), only=OF_SERVERS),
    # fastpysgi has no WebSockets. Sanic refuses its requests, whose ASGI scope has an empty raw_path.
    Contender("FastAPI on fastpysgi", "fastapi", "fastapi", ("on_fastpysgi.py",), only=OF_SERVERS - WEBSOCKETS),
    Contender(LIBRARY_BASELINE, "caches", "caches", ("redis_py.py",), is_library=True),
    Contender("RCModel", "sanicbase", "sanicbase", ("read_cache.py",), variables=PRODUCTION, is_library=True),
    Contender(
        "RCModel, local",
        "sanicbase",
        "sanicbase",
        ("read_cache.py",),
        variables={**PRODUCTION, "LOCAL": "true"},
        is_library=True,
    ),
    Contender("cashews", "caches", "caches", ("cashews_cache.py",), is_library=True),
    Contender("aiocache", "caches", "caches", ("aiocache_cache.py",), is_library=True),
)
