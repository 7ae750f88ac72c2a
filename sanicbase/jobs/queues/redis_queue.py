"""A queue of jobs in Redis: a stream with a consumer group, delayed jobs and dead letters.

All keys of a queue begin with `{<service>:jobs:<queue>}`, a hash tag, so that one node of a Cluster has all of them,
and scripts change them atomically:

    :stream    the jobs to run; a job that is taken stays pending in the group until its run has ended
    :delayed   when each delayed job is due, by its id; a retry is a delayed job
    :jobs      the messages of delayed jobs, by their ids
    :unique    the id of the job that waits or runs, by the digest of what must not be twice
    :dead      when each job was given up, by its id
    :letters   the dead letters, by their ids
    :contact   when a worker was last in contact, and since when one has always been
    :paused    exists while nothing is taken from the queue
    :id:<id>   exists while a repeated message of the job may arrive, which is then dropped

A job leaves one of these and enters another in the same script, so no crash loses it. The owner of a running job is its
consumer in the group. It renews its lease by claiming the job again (`keep`), which resets the idle time. A job that is
not renewed for LEASE goes to the next worker that asks. After a time without any contact, such as an outage of Redis,
no worker takes over jobs for SETTLING, so that the others can renew theirs first. Times are those of Redis' clock.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import NoScriptError, RedisError, ResponseError

from sanicbase.jobs.message import JobMessage, Labels
from sanicbase.jobs.queues.interface import KNOWN_FOR, NothingReady, Outcome, Taken
from sanicbase.jobs.queues.pause import Pause, key_tag

__all__ = ["LEASE", "RedisQueue"]

Argument = str | int | bytes

GROUP = "workers"
LEASE = 7000  # milliseconds after which another worker takes over the job of a silent one
GAP = 4000  # milliseconds without any contact that are an outage; each worker makes contact every 1.5 seconds
SETTLING = 4000  # milliseconds
OLD_CONSUMER = 86_400_000  # milliseconds
MOVED_AT_ONCE = 100  # delayed jobs that one call moves
MAX_DEAD = 10_000  # dead letters that a queue keeps
REPLICA_TIMEOUT = 1000  # milliseconds in which a replica must have what was written

# Every script: KEYS are stream, delayed, jobs, unique, dead, letters. `clock` is the time in milliseconds.
HEAD = """
local stream, delayed, jobs, unique, dead, letters = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local time = redis.call('TIME')
local clock = time[1] * 1000 + math.floor(time[2] / 1000)
local function put(id, message, due)
    if due > clock then
        redis.call('HSET', jobs, id, message)
        redis.call('ZADD', delayed, due, id)
    else
        redis.call('XADD', stream, '*', 'id', id, 'message', message)
    end
end
"""
# KEYS[7]: the id's own. ARGV: id, message, delay, due, unique digest, life of the id. Returns the id of the job that
# waits: that of ARGV, or of the one with the same unique digest.
PUSH = f"""{HEAD}
if not redis.call('SET', KEYS[7], '1', 'NX', 'PX', ARGV[6]) then return ARGV[1] end
if ARGV[5] ~= '' and redis.call('HSETNX', unique, ARGV[5], ARGV[1]) == 0 then
    return redis.call('HGET', unique, ARGV[5])
end
local due = tonumber(ARGV[4])
if due == 0 then due = clock + tonumber(ARGV[3]) end
put(ARGV[1], ARGV[2], due)
return ARGV[1]
"""
# KEYS[7]: the contact. `note_contact` returns whether it has been uninterrupted for `settling` milliseconds.
CONTACT = """
local function note_contact(gap, settling)
    local known = redis.call('HMGET', KEYS[7], 'since', 'last')
    local since, last = tonumber(known[1]), tonumber(known[2])
    if not (since and last) or clock < last or clock - last > tonumber(gap) then since = clock end
    redis.call('HSET', KEYS[7], 'since', since, 'last', clock)
    return clock - since >= tonumber(settling)
end
"""
# ARGV: group, consumer, lease, whether to take over what silent workers have, how many delayed jobs to move, how many
# jobs to take, gap, settling. KEYS[8]: what exists while the queue is paused.
# Returns the last id of the stream, the milliseconds until the next delayed job or -1, and for each job that was taken:
# its entry, its id, its message, and how often it was given to a worker.
TAKE = f"""{HEAD}{CONTACT}
local is_settled = note_contact(ARGV[7], ARGV[8])
local function nothing(wait)
    local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
    return {{last[1] and last[1][1] or '0-0', wait}}
end
if redis.call('EXISTS', KEYS[8]) == 1 then return nothing(-1) end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', delayed, '-inf', clock, 'LIMIT', 0, ARGV[5])) do
    local message = redis.call('HGET', jobs, id)
    redis.call('ZREM', delayed, id)
    redis.call('HDEL', jobs, id)
    if message then redis.call('XADD', stream, '*', 'id', id, 'message', message) end
end
local function taken(entry, times)
    local fields = entry[2]
    return {{entry[1], fields[2], fields[4], times}}
end
local all = {{'', -1}}
if ARGV[4] == '1' and is_settled then
    for _, silent in ipairs(redis.call('XPENDING', stream, ARGV[1], 'IDLE', ARGV[3], '-', '+', ARGV[6])) do
        local claimed = redis.call('XCLAIM', stream, ARGV[1], ARGV[2], ARGV[3], silent[1])
        if claimed[1] then
            table.insert(all, taken(claimed[1], silent[4] + 1))
        else
            redis.call('XACK', stream, ARGV[1], silent[1])  -- its entry was deleted
        end
    end
    if #all > 2 then return all end
end
local read = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', ARGV[6], 'STREAMS', stream, '>')
if read then
    for _, entry in ipairs(read[1][2]) do table.insert(all, taken(entry, 1)) end
    return all
end
local following = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
return nothing(following[2] and math.max(0, following[2] - clock) or -1)
"""
OWNER = """
local function owner(entry)
    local pending = redis.pcall('XPENDING', stream, ARGV[1], entry, entry, 1)
    if pending.err then return nil end  -- there is no group: Redis came back empty
    return pending[1] and pending[1][2] or ''
end
"""
# ARGV: group, consumer, gap, entries. Returns those that the consumer does not own any more.
KEEP = f"""{HEAD}{OWNER}{CONTACT}
note_contact(ARGV[3], 0)
local lost = {{}}
for place = 4, #ARGV do
    local who = owner(ARGV[place])
    if who == ARGV[2] then
        redis.call('XCLAIM', stream, ARGV[1], ARGV[2], 0, ARGV[place], 'JUSTID')
    elseif who then
        table.insert(lost, ARGV[place])
    end
end
return lost
"""
# ARGV: group, consumer, entry, id, outcome, message, pause, unique digest, letter, how many letters to keep.
# Returns 1, or 0 when the job is not the consumer's any more.
FINISH = f"""{HEAD}{OWNER}
local entry, id, outcome, digest = ARGV[3], ARGV[4], ARGV[5], ARGV[8]
local who = owner(entry)
if who and who ~= ARGV[2] then return 0 end
if who then
    redis.call('XACK', stream, ARGV[1], entry)
    redis.call('XDEL', stream, entry)
end
if outcome == 'again' then
    put(id, ARGV[6], clock + tonumber(ARGV[7]))
    return 1
end
if digest ~= '' and redis.call('HGET', unique, digest) == id then redis.call('HDEL', unique, digest) end
if outcome == 'dead' then
    redis.call('HSET', letters, id, ARGV[9])
    redis.call('ZADD', dead, clock, id)
    for _, old in ipairs(redis.call('ZRANGE', dead, 0, -tonumber(ARGV[10]) - 1)) do
        redis.call('ZREM', dead, old)
        redis.call('HDEL', letters, old)
    end
end
return 1
"""


# ARGV: group, and for each job that has succeeded its entry, its id and its unique digest.
DONE = f"""{HEAD}
for place = 2, #ARGV, 3 do
    local entry, id, digest = ARGV[place], ARGV[place + 1], ARGV[place + 2]
    redis.pcall('XACK', stream, ARGV[1], entry)
    redis.call('XDEL', stream, entry)
    if digest ~= '' and redis.call('HGET', unique, digest) == id then redis.call('HDEL', unique, digest) end
end
return 1
"""


# KEYS from the seventh on: ids. ARGV: milliseconds.
FORGET = f"""{HEAD}
for place = 7, #KEYS do redis.call('PEXPIRE', KEYS[place], ARGV[1]) end
return 1
"""
# KEYS from the seventh on: ids. ARGV: milliseconds. Returns the number of unknown ids, and the number of replicas, 0 if
# it is not known.
CONFIRM = f"""{HEAD}
local unknown = 0
for place = 7, #KEYS do unknown = unknown + 1 - redis.call('PEXPIRE', KEYS[place], ARGV[1]) end
local info = redis.pcall('INFO', 'replication')  -- an account may not be allowed to run it
local replicas = type(info) == 'string' and string.match(info, 'connected_slaves:(%d+)')
return {{unknown, tonumber(replicas or 0)}}
"""
# ARGV: group, milliseconds. Removes the consumers of workers that were killed that long ago.
TIDY = f"""{HEAD}
local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, ARGV[1])
if consumers.err then return 0 end
for _, consumer in ipairs(consumers) do
    local known = {{}}
    for place = 1, #consumer, 2 do known[consumer[place]] = consumer[place + 1] end
    if known.pending == 0 and known.idle > tonumber(ARGV[2]) then
        redis.call('XGROUP', 'DELCONSUMER', stream, ARGV[1], known.name)
    end
end
return 1
"""


class RedisQueue:
    """One queue of a service. Methods raise redis-py's errors."""

    server = "Redis"

    def __init__(self, client: Redis | RedisCluster, blocking: Redis | RedisCluster, service: str, name: str) -> None:
        self.name = name
        self._redis: Any = client
        self._blocking: Any = blocking
        self._succeeded: list[Argument] = []  # the arguments of jobs that are to be removed in the next call
        self._removing: asyncio.Task[None] | None = None  # of these, which has not been sent
        self._one_at_a_time = asyncio.Lock()
        self._tag = key_tag(service, name)
        self.pause = Pause(client, service, name)
        self._keys = [f"{self._tag}:{part}" for part in ("stream", "delayed", "jobs", "unique", "dead", "letters")]

    def uses(self, client: Redis | RedisCluster) -> bool:
        """Whether the queue is in that Redis. The client of another lifespan is another one."""
        return self._redis is client

    @property
    def stream(self) -> str:
        """The key of the stream."""
        return self._keys[0]

    async def push(self, message: JobMessage, *, known_for: int = KNOWN_FOR) -> str:
        """Add a job, unless it was added in the last `known_for` milliseconds or a job with the same unique digest
        exists. Returns the id of the job that waits."""
        return await self.push_data(message.task_id, message.to_bytes(), message.labels, known_for=known_for)

    async def push_data(self, job_id: str, data: bytes, labels: Labels, *, known_for: int = KNOWN_FOR) -> str:
        """Like `push`, for bytes that may not be a message; a worker checks them."""
        args: list[Argument] = [job_id, data, labels.delay, labels.due, labels.unique, known_for]
        answer: bytes = await self._run(PUSH, *args, more=[self.id_key(job_id)])
        return answer.decode()

    async def confirm(self, job_ids: Sequence[str], *, known_for: int) -> bool:
        """Whether Redis has these jobs, and one of its replicas too if there are any. They are known for `known_for`
        from now on.

        The jobs may have been pushed to a server that is no longer the primary, so their ids are looked up. WAIT counts
        the replicas that have all that its connection has written, hence the second look-up on the same one. A Cluster
        has no such connection.
        """
        keys = [*self._keys, *map(self.id_key, job_ids)]
        unknown, replicas = await self._run(CONFIRM, known_for, more=keys[len(self._keys) :])
        if unknown or not replicas or isinstance(self._redis, RedisCluster):
            return not unknown
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.execute_command("EVALSHA", _digest(CONFIRM), len(keys), *keys, known_for)
            (unknown, _), acknowledged = await pipe.execute_command("WAIT", 1, REPLICA_TIMEOUT).execute()
        return bool(not unknown and acknowledged)

    async def forget_ids(self, job_ids: Sequence[str]) -> None:
        """Remember these jobs for KNOWN_FOR only, because they are not sent again."""
        await self._run(FORGET, KNOWN_FOR, more=[self.id_key(job_id) for job_id in job_ids])

    async def take(self, consumer: str, *, takes_over: bool, count: int = 1) -> list[Taken] | NothingReady:
        """Take up to `count` jobs. With `takes_over`, they are those of silent workers, if there are any; otherwise
        those that are ready."""
        args: list[Argument] = [GROUP, consumer, LEASE, int(takes_over), MOVED_AT_ONCE, count, GAP, SETTLING]
        more = [f"{self._tag}:contact", self.pause.key]
        try:
            answer = await self._run(TAKE, *args, more=more)
        except ResponseError as exc:
            if "NOGROUP" not in str(exc):
                raise
            await self._create_group()
            answer = await self._run(TAKE, *args, more=more)
        last, wait, *jobs = answer
        if not jobs:
            return NothingReady(last.decode(), wait if wait >= 0 else None)
        return [Taken(entry.decode(), job_id.decode(), data, int(times)) for entry, job_id, data, times in jobs]

    async def keep(self, consumer: str, entries: Sequence[str]) -> set[str]:
        """Renew the leases of these jobs. Returns those that this consumer no longer owns."""
        lost = await self._run(KEEP, GROUP, consumer, GAP, *entries, more=[f"{self._tag}:contact"])
        return {entry.decode() for entry in lost}

    async def finish(
        self,
        consumer: str,
        taken: Taken,
        outcome: Outcome,
        *,
        message: bytes = b"",
        pause: float = 0.0,
        unique: str = "",
        letter: bytes = b"",
    ) -> bool:
        """End a run. Returns False if this consumer no longer owns the job. The call may be repeated."""
        if outcome is Outcome.DONE:
            await self._finish_done(taken, unique)
            return True
        args: list[Argument] = [
            taken.entry,
            taken.job_id,
            outcome.value,
            message,
            round(pause * 1000),
            unique,
            letter,
            MAX_DEAD,
        ]
        return bool(await self._run(FINISH, GROUP, consumer, *args))

    async def _finish_done(self, taken: Taken, unique: str) -> None:
        """Remove a job that has succeeded, in one call with those that end while the previous call is on its way."""
        self._succeeded += [taken.entry, taken.job_id, unique]
        if self._removing is None:
            self._removing = asyncio.create_task(self._remove_succeeded())
            self._removing.add_done_callback(lambda task: task.cancelled() or task.exception())  # all may be cancelled
        await asyncio.shield(self._removing)

    async def _remove_succeeded(self) -> None:
        async with self._one_at_a_time:
            args, self._succeeded, self._removing = self._succeeded, [], None
            await self._run(DONE, GROUP, *args)

    async def wait(self, last: str, milliseconds: int) -> None:
        """Return when the stream has an entry after that one, or after the timeout."""
        await self._blocking.xread({self.stream: last}, count=1, block=milliseconds)

    async def lengths(self) -> dict[str, int]:
        """How many jobs are waiting, running, delayed and dead."""
        in_stream = await self._redis.xlen(self.stream)
        try:
            running = int((await self._redis.xpending(self.stream, GROUP))["pending"])
        except ResponseError:  # nothing was taken yet
            running = 0
        delayed, dead = await self._redis.zcard(self._keys[1]), await self._redis.zcard(self._keys[4])
        return {"waiting": max(0, in_stream - running), "running": running, "delayed": delayed, "dead": dead}

    async def tidy(self) -> None:
        """Remove the consumers of workers that were killed long ago."""
        await self._run(TIDY, GROUP, OLD_CONSUMER)

    async def forget_consumer(self, consumer: str) -> None:
        """Remove a consumer that owns no jobs."""
        with suppress(RedisError):
            pending = await self._redis.xpending_range(self.stream, GROUP, "-", "+", 1, consumername=consumer)
            if not pending:  # no other process takes jobs in its name
                await self._redis.xgroup_delconsumer(self.stream, GROUP, consumer)

    def id_key(self, job_id: str) -> str:
        """The key that identifies a repeated message."""
        return f"{self._tag}:id:{job_id}"

    async def _create_group(self) -> None:
        try:
            await self._redis.xgroup_create(self.stream, GROUP, id="0", mkstream=True)
        except ResponseError as exc:
            if "BUSYGROUP" not in str(exc):
                raise

    async def _run(self, script: str, *args: Argument, more: Sequence[str] = ()) -> Any:
        keys = [*self._keys, *more]
        try:
            return await self._redis.execute_command("EVALSHA", _digest(script), len(keys), *keys, *args)
        except NoScriptError:  # a new server, or another node of a Cluster
            return await self._redis.execute_command("EVAL", script, len(keys), *keys, *args)


@cache
def _digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
