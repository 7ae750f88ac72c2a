"""The contenders: which files they are, how they are started, and in which environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.harness.paths import RESULTS
from benchmarks.harness.scenarios import Scenario

BASELINE = "Sanic"
LIBRARY_BASELINE = "redis-py"
UVICORN = ("-m", "uvicorn", "app:app", "--port", "{port}", "--no-access-log", "--log-level", "warning")
GRANIAN = ("-m", "granian", "--interface", "asgi", "--workers", "1", "--port", "{port}", "--log-level", "warning")


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
    envelope: bool = False
    """JSON is in the standard envelope of sanicbase, which is checked and taken off."""
    is_library: bool = False
    """It has no server: it reads a cache in its own process."""
    lacks: Mapping[str, str] = field(default_factory=dict)
    """Scenarios that it does not take part in, each with the reason."""

    def takes_part_in(self, scenario: Scenario) -> bool:
        """Whether it can do what is asked."""
        return self.is_library == scenario.is_library and scenario.name not in self.lacks

    def command_for(self, kind: str) -> tuple[str, ...]:
        """What starts it for a scenario of that kind."""
        return self.websocket_command if kind in ("echo", "room") and self.websocket_command else self.command


def _sanicbase(name: str, **variables: str) -> Contender:
    return Contender(
        name,
        "sanicbase",
        "sanicbase",
        ("http_shop.py",),
        ("ws_shop.py",),
        {"SHOP_ENV": "prod", "SHOP_LOG_DIR": str(RESULTS / "logs"), **variables},
        envelope=variables.get("SHOP_ENVELOPE") != "plain",
    )


CONTENDERS = (
    Contender(BASELINE, "sanic", "sanic", ("app.py",)),
    _sanicbase("sanicbase", SHOP_ACCESS_LOG="true"),
    _sanicbase("sanicbase, features off", SHOP_ENVELOPE="plain", SHOP_ACCESS_LOG="false"),
)
