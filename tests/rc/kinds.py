"""Every kind of Redis, started for the tests alone: with TLS, on a socket, behind Sentinels, as a Cluster."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from sanicbase.testing import free_port, wait_until
from sanicbase.testing.binaries import find_binaries
from sanicbase.testing.databases import ask_redis
from sanicbase.testing.private_server import PrivateServer, private_server
from sanicbase.testing.servers import REDIS_URL, ServerMissing

SERVICE = "mymaster"
SENTINEL_CONF = """\
port {port}
bind 127.0.0.1
dir {directory}
sentinel monitor {service} 127.0.0.1 {master} 2
sentinel down-after-milliseconds {service} 500
sentinel failover-timeout {service} 3000
"""
# A Sentinel asks every 10 seconds, and looks for 8 at a master that it has demoted before it makes it a replica.
BRISK = ("INFO-PERIOD", "200", "PUBLISH-PERIOD", "200", "ASK-PERIOD", "200")
SLOTS = 16384


def binary(name: str, package: str = "redis-server") -> str:
    binary = find_binaries(name)
    if binary is None:
        raise ServerMissing(name, REDIS_URL, package)
    return binary[0]


@contextmanager
def server(*options: str) -> Iterator[PrivateServer]:
    """A plain one on a port of 127.0.0.1, without a word on the disk."""
    program = binary("redis-server")
    with private_server("Redis") as started:
        where = ("--bind", "127.0.0.1", "--dir", str(started.directory), "--save", "", "--appendonly", "no")
        port = ("--port", "0", "--tls-port") if "--tls-cert-file" in options else ("--port",)
        named = [option.format(directory=started.directory) for option in options]
        started.start([program, *port, str(started.port), *where, *named], lambda: True)
        yield started


def url(started: PrivateServer) -> str:
    return f"redis://127.0.0.1:{started.port}/0"


@contextmanager
def unix_redis() -> Iterator[str]:
    with server("--unixsocket", "{directory}/socket") as started:
        yield f"unix://{started.directory}/socket?db=1"


@dataclass(frozen=True)
class Certificate:
    """A key and what it signed itself, for servers and clients alike."""

    directory: Path

    @property
    def files(self) -> tuple[str, str]:
        return str(self.directory / "certificate.pem"), str(self.directory / "key.pem")

    def options(self, *more: str) -> tuple[str, ...]:
        """A server's."""
        certificate, key = self.files
        return ("--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate, *more)

    @property
    def query(self) -> str:
        """A client's."""
        certificate, key = self.files
        return f"ssl_ca_certs={certificate}&ssl_certfile={certificate}&ssl_keyfile={key}"


@contextmanager
def certificate() -> Iterator[Certificate]:
    openssl = binary("openssl", "openssl")
    with private_server("certificate") as place:
        certificate = Certificate(place.directory)
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
        name = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
        files = ("-keyout", certificate.files[1], "-out", certificate.files[0])
        subprocess.run([openssl, "req", "-x509", *curve, *name, *files], check=True, capture_output=True, timeout=30)
        yield certificate


@contextmanager
def tls_redis() -> Iterator[str]:
    with certificate() as certificates, server(*certificates.options()) as started:
        yield f"rediss://127.0.0.1:{started.port}/0?{certificates.query}"


@contextmanager
def tls_sentinel() -> Iterator[str]:
    with (
        certificate() as certificates,
        server(*certificates.options()) as master,
        private_server("Sentinel") as sentinel,
    ):
        conf = sentinel.directory / "sentinel.conf"
        conf.write_text(f"sentinel monitor {SERVICE} 127.0.0.1 {master.port} 1\n")
        listen = ("--port", "0", "--tls-port", str(sentinel.port), "--bind", "127.0.0.1")
        tls = certificates.options("--tls-replication", "yes")
        address = f"127.0.0.1:{sentinel.port}"
        command = [binary("redis-server"), str(conf), "--sentinel", *listen, *tls]
        sentinel.start(command, lambda: _answers(f"rediss://{address}?{certificates.query}"))
        yield f"rediss+sentinel://{address}/{SERVICE}?{certificates.query}"


def _answers(server: str) -> bool:
    try:
        return ask_redis(server, "PING") is True
    except (RedisConnectionError, RedisTimeoutError):
        return False


@contextmanager
def tls_cluster() -> Iterator[str]:
    alone = ("--cluster-enabled", "yes", "--tls-cluster", "yes", "--cluster-port", str(free_port()))
    with certificate() as certificates, server(*certificates.options(*alone)) as node:
        assign_all_slots(f"rediss://127.0.0.1:{node.port}?{certificates.query}")
        yield f"rediss+cluster://127.0.0.1:{node.port}?{certificates.query}"


@contextmanager
def single_node_cluster() -> Iterator[str]:
    """The smallest Cluster, for tests of commands only."""
    with server("--cluster-enabled", "yes", "--cluster-port", str(free_port())) as node:
        assign_all_slots(url(node))
        yield f"redis+cluster://127.0.0.1:{node.port}"


def assign_all_slots(node: str) -> None:
    """Give a single node all slots, and return when it serves them."""
    ask_redis(node, "CLUSTER", "ADDSLOTSRANGE", "0", str(SLOTS - 1))
    wait_until(lambda: ask_redis(node, "CLUSTER INFO")["cluster_state"] == "ok", 20, what="a Cluster")  # type: ignore[index]


@dataclass
class Sentinels:
    """Two servers of which one is the master, and three Sentinels that watch over them."""

    url: str
    servers: list[PrivateServer]
    sentinels: list[PrivateServer]

    def master(self) -> PrivateServer:
        """The one that the Sentinels name."""
        response = ask_redis(f"redis://127.0.0.1:{self.sentinels[0].port}", "SENTINEL MASTER", SERVICE)
        port = int(response["port"])  # type: ignore[index]
        return next(server for server in self.servers if server.port == port)

    def fail_over(self) -> None:
        """Have the other one promoted while both live, and return when the old one is a replica."""
        old = self.master()
        wait_until(lambda: self._has_left(old), 75, what="a new master")
        self.settled()

    def _has_left(self, old: PrivateServer) -> bool:
        """Whether it is the master no more; as long as it is, a failover is asked for, one that was given up again."""
        if self.master() is not old:
            return role(old) == "slave"
        with suppress(ResponseError):  # one is under way, or has just ended, or no replica is fit for it yet
            ask_redis(f"redis://127.0.0.1:{self.sentinels[0].port}", "SENTINEL", "FAILOVER", SERVICE)
        return False

    def settled(self) -> None:
        """Return when the replica follows and the Sentinels know it all."""
        wait_until(lambda: self._is_settled(), 20, what="a replica that follows")

    def _is_settled(self) -> bool:
        master = self.master()
        try:
            replicas = [
                ask_redis(url(server), "INFO", "replication") for server in self.servers if server is not master
            ]
        except RedisConnectionError:  # its role changes at this moment, which cuts every connection
            return False
        followed = all(info["role"] == "slave" and info["master_link_status"] == "up" for info in replicas)  # type: ignore[index]
        masters = ask_redis(f"redis://127.0.0.1:{self.sentinels[0].port}", "SENTINEL MASTER", SERVICE)
        is_known = masters["num-slaves"] >= 1 and masters["num-other-sentinels"] == 2  # type: ignore[index]
        return followed and is_known and role(master) == "master"


def role(started: PrivateServer) -> str:
    """`master`, `slave`, or nothing at the moment at which it changes and cuts every connection."""
    try:
        return str(ask_redis(url(started), "INFO", "replication")["role"])  # type: ignore[index]
    except RedisConnectionError:
        return ""


@contextmanager
def sentinels() -> Iterator[Sentinels]:
    program = binary("redis-server")
    fast = ("--repl-diskless-sync-delay", "0", "--repl-diskless-load", "on-empty-db")
    with ExitStack() as stack:
        master = stack.enter_context(server(*fast))
        replica = stack.enter_context(server(*fast, "--replicaof", f"127.0.0.1 {master.port}"))
        watching = []
        for _ in range(3):
            one = stack.enter_context(private_server("Sentinel"))
            conf = one.directory / "sentinel.conf"
            values = {"port": one.port, "directory": one.directory, "service": SERVICE, "master": master.port}
            conf.write_text(SENTINEL_CONF.format(**values))
            one.start([program, str(conf), "--sentinel"], lambda: True)
            ask_redis(f"redis://127.0.0.1:{one.port}", "SENTINEL", "DEBUG", *BRISK)
            watching.append(one)
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in watching)
        sentinels = Sentinels(f"redis+sentinel://{hosts}/{SERVICE}/0", [master, replica], watching)
        sentinels.settled()
        yield sentinels


@dataclass
class Cluster:
    """Three primaries that share the slots."""

    url: str
    nodes: list[PrivateServer]

    def whole(self) -> bool:
        """Whether every node sees every slot served."""
        infos = [ask_redis(url(node), "CLUSTER INFO") for node in self.nodes]
        return all(info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3" for info in infos)  # type: ignore[index]


@contextmanager
def cluster() -> Iterator[Cluster]:
    with ExitStack() as stack:
        nodes, buses = [], []
        for _ in range(3):
            buses.append(free_port())
            options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", str(buses[-1]))
            nodes.append(stack.enter_context(server(*options)))
        for number, node in enumerate(nodes):
            first, last = number * SLOTS // 3, (number + 1) * SLOTS // 3 - 1
            ask_redis(url(node), "CLUSTER", "ADDSLOTSRANGE", str(first), str(last))
            ask_redis(url(node), "CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
            ask_redis(url(nodes[0]), "CLUSTER", "MEET", "127.0.0.1", str(node.port), str(buses[number]))
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
        cluster = Cluster(f"redis+cluster://{hosts}", nodes)
        wait_until(cluster.whole, 30, what="a Cluster")
        yield cluster
