"""Sessions: the sign-ins of users, in Redis, each with a refresh token that is used once.

    <service>:auth:{<user>}:<session>     the user, digests of the tokens, the device; lives as long as the session
    <service>:auth:{<user>}:sessions      the sessions of the user, by the time at which each ends
    <service>:auth:{<user>}:devices       digests of devices that have signed in, by the time of their latest sign-in
    <service>:auth:{<user>}:<digest>      what a ticket stands for, for half a minute, until it is used

`<user>` is a digest, in braces so that all keys of a user are in one slot of a Cluster. Only the scripts below change
them, each in one atomic step and by the clock of Redis. A refresh token has two secrets: that of its session and its
own. If both match, the session is refreshed. If only the first matches, the token was used before, and either use may
be a thief's, so the session ends (RFC 9700, 4.14.2).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, cast

from redis.exceptions import RedisError

from sanicbase.auth.random_token import token_digest
from sanicbase.errors import ResourceError
from sanicbase.http.errors.exceptions import printable
from sanicbase.rc.clients import any_client, namespace

__all__ = ["TAKE", "Device", "Refreshed", "Sessions", "response_of"]

TIMEOUT = 1.0  # seconds that Redis has to answer
MAX_SESSIONS = 50  # of a user; the one that was used least recently ends
MAX_DEVICE = 200  # characters
SESSION = re.compile(r"[0-9a-f]{16}-[A-Za-z0-9_-]{22}")
REFRESH_TOKEN = re.compile(rf"({SESSION.pattern})\.([A-Za-z0-9_-]{{22}})\.([A-Za-z0-9_-]{{43}})")

COOKIE = re.compile(rf"({SESSION.pattern})\.([A-Za-z0-9_-]{{22}})")
TOUCH_INTERVAL = 60_000  # milliseconds between two notes that a session of a cookie is used

TICKET = re.compile(rf"({SESSION.pattern})\.([A-Za-z0-9_-]{{43}})")
TICKET_TTL = 30_000  # milliseconds

# The scores of a user's sessions have the microseconds as well, so that of two sign-ins the first one is the older.
NOW = (
    "local time = redis.call('TIME')\nlocal now = time[1] * 1000 + math.floor(time[2] / 1000)\n"
    "local exact = time[1] * 1000 + time[2] / 1000\n"
)
# KEYS: the session, the user's sessions. ARGV: session, user, two digests, device, ttl, life of the session, limit,
# prefix of the user's sessions.
CREATE = (
    NOW
    + """
redis.call('HSET', KEYS[1], 'user', ARGV[2], 'family', ARGV[3], 'token', ARGV[4], 'device', ARGV[5],
    'created', now, 'used', now, 'ends', now + ARGV[7])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('ZADD', KEYS[2], string.format('%.3f', exact + ARGV[6]), ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[7])
local surplus = redis.call('ZCARD', KEYS[2]) - ARGV[8]
if surplus > 0 then
    for at, ended in ipairs(redis.call('ZPOPMIN', KEYS[2], surplus)) do
        if at % 2 == 1 then redis.call('DEL', ARGV[9] .. ended) end
    end
end
return 1
"""
)
# ARGV: session, two digests, the next digest, ttl, life of the list. Returns what happened, and the user.
REFRESH = (
    NOW
    + """
local session = redis.call('HMGET', KEYS[1], 'family', 'token', 'user', 'ends')
if not session[1] or session[1] ~= ARGV[2] then return {'unknown', ''} end
if session[2] == ARGV[4] then return {'refreshed', session[3]} end  -- the client of Redis repeats a request
local left = tonumber(session[4]) - now
if session[2] ~= ARGV[3] or left <= 0 then
    redis.call('DEL', KEYS[1])
    redis.call('ZREM', KEYS[2], ARGV[1])
    return {left <= 0 and 'unknown' or 'reused', session[3]}
end
local ttl = math.min(tonumber(ARGV[5]), left)
redis.call('HSET', KEYS[1], 'token', ARGV[4], 'used', now)
redis.call('PEXPIRE', KEYS[1], ttl)
redis.call('ZADD', KEYS[2], string.format('%.3f', exact + ttl), ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
return {'refreshed', session[3]}
"""
)
# ARGV: session, digest, ttl, interval. Returns the user and the end of a session that a cookie opens.
USE = (
    NOW
    + """
local found = redis.call('HMGET', KEYS[1], 'family', 'token', 'user', 'ends', 'used')
if not found[1] or found[1] ~= ARGV[2] or found[2] ~= '' then return false end
local left = tonumber(found[4]) - now
if left <= 0 then return false end
if now - tonumber(found[5]) >= tonumber(ARGV[4]) then
    local ttl = math.min(tonumber(ARGV[3]), left)
    redis.call('HSET', KEYS[1], 'used', now)
    redis.call('PEXPIRE', KEYS[1], ttl)
    redis.call('ZADD', KEYS[2], string.format('%.3f', exact + ttl), ARGV[1])
end
return {found[3], found[4]}
"""
)
# GETDEL, which a Redis before 6.2 lacks.
TAKE = """
local value = redis.call('GET', KEYS[1])
if value then redis.call('DEL', KEYS[1]) end
return value
"""
# Returns whether there was such a session.
END = """
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('DEL', KEYS[1])
"""
# KEYS: the user's sessions. ARGV: their prefix, the one to keep. Returns how many ended.
END_ALL = """
local ended = 0
for _, session in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    if session ~= ARGV[2] then
        ended = ended + redis.call('DEL', ARGV[1] .. session)
        redis.call('ZREM', KEYS[1], session)
    end
end
return ended
"""
# KEYS: the user's devices. ARGV: the device, how many are kept, ttl.
REMEMBER = (
    NOW
    + """
redis.call('ZADD', KEYS[1], string.format('%.3f', exact), ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -ARGV[2] - 1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
)
# Returns a row for each session.
LIST = """
local rows = {}
for _, session in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, -1)) do
    local row = redis.call('HMGET', ARGV[1] .. session, 'device', 'created', 'used', 'user')
    if row[4] then table.insert(rows, {session, row[1], row[2], row[3]}) end
end
return rows
"""


@dataclass(frozen=True)
class Device:
    """A session, as its user may see it."""

    session: str
    name: str
    """The `device` that was passed to `sign_in`, such as the User-Agent."""
    signed_in_at: datetime
    last_used_at: datetime
    """When it was last refreshed."""


class Refreshed(NamedTuple):
    """The outcome of a refresh; `token` is the next refresh token."""

    outcome: Literal["refreshed", "reused", "unknown"]
    user: str = ""
    session: str = ""
    token: str = ""


class Sessions:
    """The sessions in one Redis. Every method raises ResourceError when Redis does not respond within a second."""

    def __init__(self, connection: str, *, idle: float, lifetime: float) -> None:
        self._connection = connection
        self._idle = round(idle * 1000)
        self._lifetime = round(lifetime * 1000)

    async def create(self, user: str, device: str) -> tuple[str, str]:
        """Create a session. Returns its name and its first refresh token."""
        token = secrets.token_urlsafe(32)
        session, family = await self._create(user, device, token_digest(token))
        return session, f"{session}.{family}.{token}"

    async def create_for_cookie(self, user: str, device: str) -> tuple[str, str]:
        """Create a session that is used without refresh tokens. Returns its name and the value of its cookie."""
        session, family = await self._create(user, device, "")
        return session, f"{session}.{family}"

    async def _create(self, user: str, device: str, digest: str) -> tuple[str, str]:
        session = f"{_digest(user)}-{secrets.token_urlsafe(16)}"
        family = secrets.token_urlsafe(16)
        values = (session, user, token_digest(family), digest, printable(device, MAX_DEVICE))
        limits = (self._idle, self._lifetime, MAX_SESSIONS, _prefix(session))
        await self._run(CREATE, _keys(session), [*values, *limits])
        return session, family

    async def use_cookie(self, cookie: str) -> tuple[str, str, float] | None:
        """The session of a cookie, its user, and when it ends, in seconds since 1970; None when it has ended.

        A refresh token contains the same two parts, but its session has refresh tokens, and no cookie opens it.
        """
        parts = COOKIE.fullmatch(cookie)
        if parts is None:
            return None
        session, family = parts.groups()
        args = [session, token_digest(family), self._idle, TOUCH_INTERVAL]
        reply = await self._run(USE, _keys(session), args)
        return (session, reply[0].decode(), float(reply[1]) / 1000) if reply else None

    async def refresh(self, refresh_token: str) -> Refreshed:
        """Use a refresh token, once. One that was used before ends its session."""
        parts = REFRESH_TOKEN.fullmatch(refresh_token)
        if parts is None:
            return Refreshed("unknown")
        session, family, token = parts.groups()
        following = secrets.token_urlsafe(32)
        digests = (token_digest(family), token_digest(token), token_digest(following))
        outcome, user = await self._run(REFRESH, _keys(session), [session, *digests, self._idle, self._lifetime])
        return Refreshed(outcome.decode(), user.decode(), session, f"{session}.{family}.{following}")

    async def user(self, session: str) -> str | None:
        """The user of a session; None when it has ended."""
        if not SESSION.fullmatch(session):
            return None
        user_id = await response_of(any_client(self._connection).hget(_keys(session)[0], "user"))
        return user_id.decode() if user_id is not None else None

    async def create_ticket(self, session: str, value: str) -> str:
        """Create a ticket for that value, which can be used once within half a minute."""
        secret = secrets.token_urlsafe(32)
        key = _prefix(session) + token_digest(secret)
        await response_of(any_client(self._connection).set(key, value, px=TICKET_TTL))
        return f"{session}.{secret}"

    async def use_ticket(self, ticket: str) -> tuple[str, str] | None:
        """Use a ticket, once. Returns its session and value, or None if it is unknown."""
        parts = TICKET.fullmatch(ticket)
        if parts is None:
            return None
        key = _prefix(parts[1]) + token_digest(parts[2])
        value = await self._run(TAKE, [key], [])
        return (parts[1], value.decode()) if value else None

    async def end(self, session: str) -> bool:
        """End a session. Returns whether it existed."""
        return bool(SESSION.fullmatch(session) and await self._run(END, _keys(session), [session]))

    async def end_all(self, user: str, keep: str) -> int:
        """End all sessions of a user except one. Returns their number."""
        any_session = f"{_digest(user)}-"
        return int(await self._run(END_ALL, _keys(any_session)[1:], [_prefix(any_session), keep]))

    async def list(self, user: str) -> list[Device]:
        """The sessions of a user, the most recently used one first."""
        any_session = f"{_digest(user)}-"
        rows = await self._run(LIST, _keys(any_session)[1:], [_prefix(any_session)])
        return [
            Device(session.decode(), device.decode(errors="replace"), _time(created), _time(used))
            for session, device, created, used in rows
        ]

    async def knows_device(self, user: str, device: str) -> bool:
        """Whether that device of the user was remembered, within the life of a session."""
        used = await response_of(any_client(self._connection).zscore(_devices(user), _digest(device)))
        return used is not None and used >= time.time() * 1000 - self._lifetime

    async def remember_device(self, user: str, device: str) -> None:
        """Remember a device of a user, of which the latest 50 are kept."""
        await self._run(REMEMBER, [_devices(user)], [_digest(device), MAX_SESSIONS, self._lifetime])

    async def _run(self, script: str, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        return await response_of(any_client(self._connection).eval(script, len(keys), *keys, *args))


async def response_of(command: Awaitable[Any] | Any) -> Any:
    """The response of Redis. Raises ResourceError, because a session that cannot be checked is neither valid nor
    invalid."""
    try:
        async with asyncio.timeout(TIMEOUT):
            return await cast("Awaitable[Any]", command)
    except (RedisError, OSError, TimeoutError) as exc:
        raise ResourceError("Redis does not answer, so sessions cannot be checked.") from exc


def _digest(user: str) -> str:
    return hashlib.sha256(user.encode()).hexdigest()[:16]


def _devices(user: str) -> str:
    return f"{_prefix(_digest(user))}devices"


def _prefix(session: str) -> str:
    return f"{namespace()}:auth:{{{session.partition('-')[0]}}}:"


def _keys(session: str) -> tuple[str, str]:
    prefix = _prefix(session)
    return prefix + session, f"{prefix}sessions"


def _time(milliseconds: bytes) -> datetime:
    return datetime.fromtimestamp(float(milliseconds) / 1000, UTC)
