"""Servers of jobs that a test may kill and start again: whatever they have acknowledged is on their disk."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from redis.exceptions import RedisError

from sanicbase.testing.binaries import find_binaries
from sanicbase.testing.databases import ask_redis
from sanicbase.testing.ports import free_port
from sanicbase.testing.private_server import PrivateServer, private_server
from sanicbase.testing.servers import REDIS_URL, ServerMissing

__all__ = ["NATS_URL", "RABBITMQ_URL", "Started", "private_nats", "private_rabbitmq", "private_redis"]

RABBITMQ_URL = "SANICBASE_TEST_RABBITMQ_URL"
NATS_URL = "SANICBASE_TEST_NATS_URL"
# The launcher in the PATH changes the account and the folder.
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class Started(NamedTuple):
    """A private server and its URL. `restart` kills it (kill -9) and starts it again with its files."""

    server: PrivateServer
    url: str


@contextmanager
def private_redis() -> Iterator[Started]:
    """A Redis that answers a write when it is on the disk."""
    program = _binary("redis-server", REDIS_URL, "redis-server")
    with private_server("Redis") as server:
        url = f"redis://127.0.0.1:{server.port}/0"
        place = ["--port", str(server.port), "--bind", "127.0.0.1", "--dir", str(server.directory)]
        stored = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"]
        server.start([program, *place, *stored], lambda: _answers(url))
        yield Started(server, url)


@contextmanager
def private_nats() -> Iterator[Started]:
    """A NATS server with JetStream."""
    program = _binary("nats-server", NATS_URL, "nats-server")
    with private_server("NATS") as server:
        place = ["--addr", "127.0.0.1", "--port", str(server.port), "--store_dir", str(server.directory)]
        server.start([program, "--jetstream", *place], lambda: _greets(server.port))
        yield Started(server, f"nats://127.0.0.1:{server.port}")


@contextmanager
def private_rabbitmq() -> Iterator[Started]:
    """A RabbitMQ with the default account, which takes some ten seconds to start."""
    if not RABBITMQ.exists():
        raise ServerMissing("RabbitMQ", RABBITMQ_URL, "rabbitmq-server")
    epmd = _binary("epmd", RABBITMQ_URL, "rabbitmq-server")
    with private_server("epmd") as names, private_server("RabbitMQ") as server:
        names.start([epmd, "-port", str(names.port)], lambda: True)
        env = {
            "HOME": server.directory,  # of Erlang's cookie
            "ERL_EPMD_PORT": names.port,
            "RUNNING_UNDER_SYSTEMD": "true",  # the launcher becomes the server, so that a kill is the server's
            "RABBITMQ_NODENAME": f"rabbit{server.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": server.port,
            "RABBITMQ_DIST_PORT": free_port(),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": server.directory / "rabbitmq",
            "RABBITMQ_ENABLED_PLUGINS_FILE": server.directory / "plugins",
            "RABBITMQ_MNESIA_BASE": server.directory,
            "RABBITMQ_LOG_BASE": server.directory,
            "RABBITMQ_LOGS": "-",
        }
        server.start(["env", *(f"{name}={value}" for name, value in env.items()), str(RABBITMQ)], lambda: True)
        yield Started(server, f"amqp://guest:guest@127.0.0.1:{server.port}/")


def _binary(name: str, variable: str, package: str) -> str:
    binary = find_binaries(name)
    if binary is None:
        raise ServerMissing(name, variable, package)
    return binary[0]


def _answers(url: str) -> bool:
    with suppress(RedisError):  # it still reads its file
        return bool(ask_redis(url, "PING"))
    return False


def _greets(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as opened:
        return opened.recv(4) == b"INFO"
    return False
