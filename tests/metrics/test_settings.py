"""Settings that would open metrics to strangers, or would count nothing, are refused."""

from __future__ import annotations

from typing import Any

import pytest

from sanicbase import Config, ConfigError


class Metered(Config):
    SERVER_NAME = "metered"
    MODEL_LIST = []


@pytest.mark.parametrize(("settings", "sentence"), [
    ({"METRICS_HOST": "0.0.0.0"}, "METRICS_HOST admits other machines: set METRICS_TOKEN"),
    ({"HTTP_METRICS_PORT": 9100, "EDGE": "sanic"}, 'metrics need EDGE = "sanicbase"'),
    ({"HTTP_METRICS_PORT": 70000}, "HTTP_METRICS_PORT"),
])  # fmt: skip
def test_invalid_settings_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Metered(**settings)


def test_a_token_admits_other_machines() -> None:
    settings = Metered(METRICS_HOST="0.0.0.0", METRICS_TOKEN="kP3vQz8sLw1rTn5y")  # type: ignore[arg-type]
    assert "kP3vQz8sLw1rTn5y" not in repr(settings)
