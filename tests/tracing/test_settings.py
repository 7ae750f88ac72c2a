"""The settings of tracing: which endpoints are accepted, and that it is off by default."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sanicbase import Config, ConfigError


class TracedConfig(Config):
    SERVER_NAME = "traced"


@pytest.mark.parametrize(
    ("url", "posted_to"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("https://otlp.example.com/", "https://otlp.example.com/v1/traces"),
        ("http://127.0.0.1:4318/v1/traces", "http://127.0.0.1:4318/v1/traces"),
        ("https://api.example.com/otlp/v1/traces", "https://api.example.com/otlp/v1/traces"),
        ("", ""),
    ],
)
def test_the_path_of_otlp_is_added_where_there_is_none(url: str, posted_to: str) -> None:
    config = TracedConfig(TRACING_ENDPOINT=url)
    assert str(config.TRACING_ENDPOINT) == posted_to


@pytest.mark.parametrize(
    "url",
    ["collector:4318", "grpc://collector:4317", "http://", "http://a:b@collector:4318", "http://collector/?key=1"],
)
def test_an_invalid_collector_url_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConfigError, match="not the URL of a collector") as raised:
        TracedConfig(TRACING_ENDPOINT=url)
    assert "a:b@" not in str(raised.value)


def test_no_exporter_is_imported_without_an_endpoint() -> None:
    code = (
        "import sys\n"
        "from sanic import Blueprint\n"
        "from sanicbase import Config, create_app\n"
        "import sanicbase.jobs, sanicbase.ws, sanicbase.http\n"
        "class Settings(Config):\n    SERVER_NAME = 'untraced'\n    MODEL_LIST = []\n"
        "create_app(Settings(), Blueprint('routes'))\n"
        "print([name for name in sys.modules if 'opentelemetry.exporter' in name or 'tracing.recorder' in name])\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout == "[]\n"
