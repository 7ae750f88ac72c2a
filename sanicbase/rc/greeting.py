"""Whether a Redis can be used, and what to do when it cannot: one sentence."""

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

from sanicbase.config.redis_urls import RedisPlace
from sanicbase.config.stores import hide_password
from sanicbase.config.tls import TLSFailure, TLSOptions, explain, load_files
from sanicbase.errors import ResourceError

__all__ = ["OLDEST", "Greeter"]

logger = logging.getLogger("sanicbase.rc")

OLDEST = 6  # the first Redis that knows all that is asked of it
FAILOVER = 3.0  # seconds for Sentinels to name another master
TLS_OPTIONS = TLSOptions("redis://", "ssl_ca_certs", "ssl_cert_reqs=none", "ssl_check_hostname=no")
FILES = {
    "ca": "ssl_ca_certs",
    "ca_path": "ssl_ca_path",
    "cert": "ssl_certfile",
    "key": "ssl_keyfile",
    "password": "ssl_password",
}
PROMPT = 0.5  # seconds in which a Sentinel answers; the others are asked meanwhile


class Greeter:
    """Asks one Redis of the configuration, which `setting` names; it has a `client` or is a `cluster`."""

    client: Redis | None = None
    sentinel: Sentinel | None = None
    service = ""
    cluster: RedisCluster | None = None

    def __init__(self, url: str, place: RedisPlace, setting: str, *, timeout: float) -> None:
        self._url = hide_password(url)
        self._place = place
        self._checked = False
        self._setting = setting
        self._timeout = timeout
        self._away: list[str] = []

    async def greet(self) -> None:
        """Return when it can be used. Raises ResourceError with what is wrong, and with what to do.

        A Sentinel that is away while another one answers is a line in the log, once when it goes and once when it is
        back.
        """
        self._check_files()
        try:
            async with asyncio.timeout(self._timeout):
                if self.sentinel:
                    await self._greet_sentinels(self.sentinel)
                if self.client:
                    await self.client.execute_command("HELLO")
                if self.cluster:
                    await self._greet_primaries(self.cluster)
        except AuthenticationError as exc:
            raise self._error(f"refuses the password ({exc})", "Correct") from exc
        except MasterNotFoundError as exc:
            reason = f"has no master: its Sentinels see that of {self.service!r} down, or know no such service"
            raise self._error(reason, "Start it, or correct") from exc
        except ResponseError as exc:
            # HELLO answers every account and names the version; a server that does not know it is older than 6.
            old = "unknown command" in (said := str(exc).lower()) and "hello" in said
            reason = f"is older than Redis {OLDEST}" if old else f"refuses the connection ({exc})"
            raise self._error(reason, "Upgrade it, or correct" if old else "Correct") from exc
        except RedisClusterException as exc:  # which is no RedisError
            self._explain(exc)
            raise self._error(f"cannot be used: {str(exc).rstrip('.')}", "Start it, or correct") from exc
        except (RedisError, OSError, TimeoutError) as exc:
            self._explain(exc)
            await self._look_for_plain_text(exc)
            reason = f"does not answer: {str(exc).rstrip('.') or 'no answer in time'}"
            raise self._error(reason, "Start it, or correct") from exc

    def _check_files(self) -> None:
        """Read the certificates once, before redis-py does: it would ask the terminal for the password of a key."""
        if self._checked or not issubclass(self._place.connection, SSLConnection):
            return
        for options in (self._place.options, self._place.sentinel_options):
            files = {name: options.get(option) or "" for name, option in FILES.items()}
            try:
                load_files(SSLContext(PROTOCOL_TLS_CLIENT), **files)
            except ValueError as exc:
                raise self._error(f"cannot be used with TLS: {exc}", "Correct") from exc
        self._checked = True

    def _explain(self, error: BaseException) -> None:
        """Raise ResourceError when the reason is a TLS handshake that fails."""
        if issubclass(self._place.connection, SSLConnection) and (failure := explain(error, TLS_OPTIONS)):
            raise self._tls_error(failure) from error

    async def _look_for_plain_text(self, error: BaseException) -> None:
        """Raise ResourceError when the server answers without TLS only: it takes a handshake for half a command, and
        waits for the rest. What is sent to it is no secret."""
        if not issubclass(self._place.connection, SSLConnection):
            return
        host, port = self._place.addresses[0]
        try:
            async with asyncio.timeout(PROMPT):
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
        return ResourceError(f"The Redis {self._url} cannot be used with TLS: {failure.cause}. {remedy}.")

    async def _greet_sentinels(self, sentinel: Sentinel) -> None:
        asked = {_address(client): client.execute_command("PING") for client in sentinel.sentinels}
        away = await _silent(asked, min(PROMPT, self._timeout / 2))
        if len(away) == len(asked):
            raise RedisError("none of its Sentinels does") from next(iter(away.values()))
        self._tell([*away])
        await self._find_master(sentinel)

    async def _find_master(self, sentinel: Sentinel) -> None:
        """A failover that is under way ends within a second or two, mostly: no start need be refused for it."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + min(FAILOVER, self._timeout / 2)
        while True:
            try:
                await sentinel.discover_master(self.service)
            except MasterNotFoundError:
                if loop.time() > deadline:
                    raise
                await asyncio.sleep(0.1)
            else:
                return

    async def _greet_primaries(self, cluster: RedisCluster) -> None:
        await cluster.initialize()
        if await self._silent_primaries(cluster):
            await cluster.aclose()  # what was known of it may be from before a failover
            await cluster.initialize()
            if silent := await self._silent_primaries(cluster):
                raise RedisError(f"{', '.join(silent)} of its {len(cluster.get_primaries())} primaries is away")

    async def _silent_primaries(self, cluster: RedisCluster) -> Mapping[str, BaseException]:
        primaries: list[ClusterNode] = cluster.get_primaries()
        return await _silent({node.name: node.execute_command("HELLO") for node in primaries}, self._timeout / 2)

    def _tell(self, away: list[str]) -> None:
        if away != self._away:
            if away:
                logger.warning(
                    "The Redis %s: the Sentinels %s do not answer; the others do.", self._url, ", ".join(away)
                )
            else:
                logger.info("The Redis %s: all Sentinels answer again.", self._url)
        self._away = away

    def _error(self, what: str, remedy: str) -> ResourceError:
        return ResourceError(f"The Redis {self._url} {what}. {remedy} {self._setting}.")


async def _silent(asked: Mapping[str, Awaitable[object]], patience: float) -> dict[str, BaseException]:
    """Those that did not answer, and why. A refusal is raised, for it is no silence."""
    answers = await asyncio.gather(*(asyncio.wait_for(ask, patience) for ask in asked.values()), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, ResponseError | AuthenticationError):
            raise answer
    return {name: answer for name, answer in zip(asked, answers, strict=True) if isinstance(answer, BaseException)}


def _address(client: Redis) -> str:
    kwargs = client.connection_pool.connection_kwargs
    return f"{kwargs['host']}:{kwargs['port']}"
