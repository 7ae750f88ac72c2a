"""Check that a Redis can be used; the error says what to do when it cannot."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from contextlib import closing
from ssl import PROTOCOL_TLS_CLIENT, SSLContext

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import SSLConnection
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel
from redis.exceptions import AuthenticationError, RedisClusterException, RedisError, ResponseError

from sanicbase.config.database_urls import hide_password
from sanicbase.config.redis_urls import RedisAddress
from sanicbase.config.tls import TLSFailure, TLSOptions, explain, load_files
from sanicbase.errors import ResourceError
from sanicbase.i18n import gettext as _
from sanicbase.i18n import gettext_noop

__all__ = ["MIN_VERSION", "Handshake"]

logger = logging.getLogger("sanicbase.rc")

MIN_VERSION = 6  # the first Redis with every command that we use
FAILOVER_TIMEOUT = 3.0  # seconds that Sentinels have to name a new master
TLS_OPTIONS = TLSOptions("redis://", "ssl_ca_certs", "ssl_cert_reqs=none", "ssl_check_hostname=no")
TLS_FILE_OPTIONS = {
    "ca": "ssl_ca_certs",
    "ca_path": "ssl_ca_path",
    "cert": "ssl_certfile",
    "key": "ssl_keyfile",
    "password": "ssl_password",
}
CORRECT = gettext_noop("Correct {setting}")
START = gettext_noop("Start it, or correct {setting}")
UPGRADE = gettext_noop("Upgrade it, or correct {setting}")
SENTINEL_TIMEOUT = 0.5  # seconds that a Sentinel has to answer if another one does


class Handshake:
    """The check of one configured Redis, either `client` or `cluster`; error messages name its `setting`."""

    client: Redis | None = None
    sentinel: Sentinel | None = None
    service = ""
    cluster: RedisCluster | None = None

    def __init__(self, url: str, address: RedisAddress, setting: str, *, timeout: float) -> None:
        self._url = hide_password(url)
        self._redis_address = address
        self._files_checked = False
        self._setting = setting
        self._timeout = timeout
        self._away: list[str] = []

    async def run(self) -> None:
        """Return when the Redis can be used. Raises ResourceError with the cause and the remedy.

        Sentinels that do not answer while another one does are logged, once when they stop and once when they answer
        again.
        """
        self._check_files()
        try:
            async with asyncio.timeout(self._timeout):
                if self.sentinel:
                    await self._check_sentinels(self.sentinel)
                if self.client:
                    await self.client.execute_command("HELLO")
                if self.cluster:
                    await self._check_primaries(self.cluster)
        except AuthenticationError as exc:
            raise self._error(_("refuses the password ({error})", error=exc), CORRECT) from exc
        except MasterNotFoundError as exc:
            reason = _(
                "has no master: its Sentinels report {service!r} as down, or do not know it", service=self.service
            )
            raise self._error(reason, START) from exc
        except ResponseError as exc:
            # Every account may send HELLO, and a server without it is older than Redis 6.
            is_too_old = "unknown command" in (message := str(exc).lower()) and "hello" in message
            if is_too_old:
                raise self._error(_("is older than Redis {version}", version=MIN_VERSION), UPGRADE) from exc
            raise self._error(_("refuses the connection ({error})", error=exc), CORRECT) from exc
        except RedisClusterException as exc:  # not a RedisError
            self._explain(exc)
            raise self._error(_("cannot be used: {error}", error=str(exc).rstrip(".")), START) from exc
        except (RedisError, OSError, TimeoutError) as exc:
            self._explain(exc)
            await self._check_plain_text(exc)
            error = str(exc).rstrip(".") or _("no answer in time")
            raise self._error(_("does not answer: {error}", error=error), START) from exc

    def _check_files(self) -> None:
        """Read the certificates once, before redis-py would prompt for the password of a key on the terminal."""
        if self._files_checked or not issubclass(self._redis_address.connection, SSLConnection):
            return
        for options in (self._redis_address.options, self._redis_address.sentinel_options):
            files = {name: options.get(option) or "" for name, option in TLS_FILE_OPTIONS.items()}
            try:
                load_files(SSLContext(PROTOCOL_TLS_CLIENT), **files)
            except ValueError as exc:
                raise self._error(_("cannot be used with TLS: {error}", error=exc), CORRECT) from exc
        self._files_checked = True

    def _explain(self, error: BaseException) -> None:
        """Raise ResourceError when the TLS handshake failed."""
        if issubclass(self._redis_address.connection, SSLConnection) and (failure := explain(error, TLS_OPTIONS)):
            raise self._tls_error(failure) from error

    async def _check_plain_text(self, error: BaseException) -> None:
        """Raise ResourceError when the server speaks plain text: it takes a TLS handshake for the start of a command
        and waits for the rest. Nothing secret is sent."""
        if not issubclass(self._redis_address.connection, SSLConnection):
            return
        host, port = self._redis_address.addresses[0]
        try:
            async with asyncio.timeout(SENTINEL_TIMEOUT):
                reader, writer = await asyncio.open_connection(host, port)
                with closing(writer):
                    writer.write(b"PING\r\n")
                    answer = await reader.read(1)
        except (OSError, TimeoutError):
            return
        if answer in (b"+", b"-"):
            raise self._tls_error(TLSFailure.of_no_tls(TLS_OPTIONS)) from error

    def _tls_error(self, failure: TLSFailure) -> ResourceError:
        remedy = failure.remedy.format(setting=self._setting)
        problem = _("cannot be used with TLS: {error}", error=failure.cause)
        return ResourceError(_("The Redis {url} {problem}. {remedy}.", url=self._url, problem=problem, remedy=remedy))

    async def _check_sentinels(self, sentinel: Sentinel) -> None:
        half = self._timeout / 2
        away = await _unanswered_sentinels(sentinel, min(SENTINEL_TIMEOUT, half))
        if len(away) == len(sentinel.sentinels):  # of a busy machine, perhaps: all its services have just started
            away = await _unanswered_sentinels(sentinel, half)
        if len(away) == len(sentinel.sentinels):
            raise RedisError(_("none of its Sentinels does")) from next(iter(away.values()))
        self._log_sentinels([*away])
        await self._find_master(sentinel)

    async def _find_master(self, sentinel: Sentinel) -> None:
        """Wait for a failover in progress, which usually ends within two seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + min(FAILOVER_TIMEOUT, self._timeout / 2)
        while True:
            try:
                await sentinel.discover_master(self.service)
            except MasterNotFoundError:
                if loop.time() > deadline:
                    raise
                await asyncio.sleep(0.1)
            else:
                return

    async def _check_primaries(self, cluster: RedisCluster) -> None:
        await cluster.initialize()
        if await self._unanswered_primaries(cluster):
            await cluster.aclose()  # the known topology may be older than a failover
            await cluster.initialize()
            if unanswered := await self._unanswered_primaries(cluster):
                raise RedisError(
                    _(
                        "{nodes} of its {number} primaries do not answer",
                        nodes=", ".join(unanswered),
                        number=len(cluster.get_primaries()),
                    )
                )

    async def _unanswered_primaries(self, cluster: RedisCluster) -> Mapping[str, BaseException]:
        primaries: list[ClusterNode] = cluster.get_primaries()
        return await _unanswered({node.name: node.execute_command("HELLO") for node in primaries}, self._timeout / 2)

    def _log_sentinels(self, away: list[str]) -> None:
        if away != self._away:
            if away:
                logger.warning(
                    "The Redis %s: the Sentinels %s do not answer; the others do.", self._url, ", ".join(away)
                )
            else:
                logger.info("The Redis %s: all Sentinels answer again.", self._url)
        self._away = away

    def _error(self, problem: str, remedy: str) -> ResourceError:
        remedy = _(remedy, setting=self._setting)
        return ResourceError(_("The Redis {url} {problem}. {remedy}.", url=self._url, problem=problem, remedy=remedy))


async def _unanswered(requests: Mapping[str, Awaitable[object]], seconds: float) -> dict[str, BaseException]:
    """The requests without an answer, with their errors. An error reply is raised."""
    answers = await asyncio.gather(
        *(asyncio.wait_for(request, seconds) for request in requests.values()), return_exceptions=True
    )
    for answer in answers:
        if isinstance(answer, ResponseError | AuthenticationError):
            raise answer
    return {name: answer for name, answer in zip(requests, answers, strict=True) if isinstance(answer, BaseException)}


async def _unanswered_sentinels(sentinel: Sentinel, seconds: float) -> dict[str, BaseException]:
    return await _unanswered(
        {_address(client): client.execute_command("PING") for client in sentinel.sentinels}, seconds
    )


def _address(client: Redis) -> str:
    kwargs = client.connection_pool.connection_kwargs
    return f"{kwargs['host']}:{kwargs['port']}"
