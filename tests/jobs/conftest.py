"""Message brokers for tests: one that its environment variable names, else one of this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from sanicbase.testing.plugin import _or_skip
from tests.jobs.private_brokers import NATS_URL, RABBITMQ_URL, private_nats


@contextmanager
def nats_server() -> Iterator[str]:
    """Yield the URL of a NATS server with JetStream: that of the environment, else a private one."""
    if url := os.environ.get(NATS_URL):
        yield url
        return
    with private_nats() as started:
        yield started.url


@contextmanager
def rabbitmq_server() -> Iterator[str]:
    """Yield the URL of a RabbitMQ: that of the environment, else the one that runs here with its default account.

    A private one would take longer to start than all tests of it, so they are skipped where there is none.
    """
    url = os.environ.get(RABBITMQ_URL, "amqp://guest:guest@127.0.0.1:5672/")
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port or 5672), 1).close()
    except OSError:
        if RABBITMQ_URL not in os.environ:
            pytest.skip(f"there is no RabbitMQ: start one, or set {RABBITMQ_URL}")
        raise
    yield url


@pytest.fixture(scope="session")
def nats_url() -> Iterator[str]:
    """The URL of a NATS server, for all tests of the process."""
    with _or_skip(nats_server()) as url:
        yield url


@pytest.fixture(scope="session")
def rabbitmq_url() -> Iterator[str]:
    """The URL of a RabbitMQ, for all tests of the process."""
    with rabbitmq_server() as url:
        yield url


@pytest.fixture
def service_name() -> str:
    """The name of a service that no other test has, because streams and queues have it in theirs."""
    return f"shop{uuid4().hex[:8]}"
