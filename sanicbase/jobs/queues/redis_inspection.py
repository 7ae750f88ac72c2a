"""What is in a queue in Redis: listed, shown, run again, dropped."""

from __future__ import annotations

from typing import Any

from sanicbase.jobs.letter import DeadLetter
from sanicbase.jobs.queues.inspection import JobState, ListedJob
from sanicbase.jobs.queues.redis_queue import GROUP, HEAD, RedisQueue

__all__ = ["RedisInspection"]

PAGE = 500  # entries of the stream that are read at once when searching for a job

# ARGV: id, message, unique digest. Returns 1 on success, 0 if there is no such dead or delayed job, -1 if another job
# with the same unique digest waits or runs.
RETRY = f"""{HEAD}
local id, digest = ARGV[1], ARGV[3]
local is_dead, is_delayed = redis.call('HEXISTS', letters, id) == 1, redis.call('HEXISTS', jobs, id) == 1
if not is_dead and not is_delayed then return 0 end
if digest ~= '' then
    local waits = redis.call('HGET', unique, digest)
    if waits and waits ~= id then return -1 end
    redis.call('HSET', unique, digest, id)
end
redis.call('HDEL', letters, id)
redis.call('ZREM', dead, id)
redis.call('HDEL', jobs, id)
redis.call('ZREM', delayed, id)
redis.call('XADD', stream, '*', 'id', id, 'message', ARGV[2])
return 1
"""
# ARGV: id, group, entry in the stream or an empty text, unique digest. Returns whether the job existed.
DROP = f"""{HEAD}
local id, digest = ARGV[1], ARGV[4]
local count = redis.call('HDEL', letters, id) + redis.call('HDEL', jobs, id)
redis.call('ZREM', dead, id)
redis.call('ZREM', delayed, id)
if ARGV[3] ~= '' then
    redis.pcall('XACK', stream, ARGV[2], ARGV[3])
    count = count + redis.call('XDEL', stream, ARGV[3])
end
if digest ~= '' and redis.call('HGET', unique, digest) == id then redis.call('HDEL', unique, digest) end
return count
"""


class RedisInspection(RedisQueue):
    """A queue in Redis, seen from outside a worker. Methods raise redis-py's errors."""

    states = tuple(JobState)

    async def listed(self, state: JobState, limit: int) -> list[ListedJob]:
        """The first `limit` jobs in that state; dead jobs from the latest one."""
        if state is JobState.DEAD:
            ids = await self._redis.zrange(self._keys[4], 0, limit - 1, desc=True)
            return [job for job_id in ids if (job := await self._dead(job_id.decode()))]
        if state is JobState.DELAYED:
            due = await self._redis.zrange(self._keys[1], 0, limit - 1, withscores=True)
            return [job for job_id, moment in due if (job := await self._delayed(job_id.decode(), int(moment)))]
        running = await self._running()
        jobs: list[ListedJob] = []
        start = "-"
        while len(jobs) < limit and (entries := await self._redis.xrange(self.stream, start, "+", count=PAGE)):
            listed = [self._of_stream(entry, fields, running) for entry, fields in entries]
            jobs += [job for job in listed if job.state is state]
            start = f"({entries[-1][0].decode()}"
        return jobs[:limit]

    async def find(self, job_id: str) -> ListedJob | None:
        """The job with that id, in any state."""
        if job := await self._dead(job_id):
            return job
        if moment := await self._redis.zscore(self._keys[1], job_id):
            return await self._delayed(job_id, int(moment))
        running, start = await self._running(), "-"
        while entries := await self._redis.xrange(self.stream, start, "+", count=PAGE):
            for entry, fields in entries:
                if fields.get(b"id") == job_id.encode():
                    return self._of_stream(entry, fields, running)
            start = f"({entries[-1][0].decode()}"
        return None

    async def retry(self, job: ListedJob) -> bool:
        """Run a dead or delayed job now, with all of its retries. Returns False if it no longer exists, or if another
        job with the same unique arguments waits or runs."""
        unique = job.message.labels.unique if job.message else ""
        return bool(await self._run(RETRY, job.id, job.afresh, unique) == 1)

    async def drop(self, job: ListedJob) -> bool:
        """Delete a job. A run in progress is cancelled within seconds. Returns False if it no longer exists."""
        unique = job.message.labels.unique if job.message else ""
        return bool(await self._run(DROP, job.id, GROUP, job.entry, unique))

    async def cancel(self, job_id: str) -> bool:
        """Drop a job that is not dead. Returns False if there is none."""
        job = await self.find(job_id)
        return job is not None and job.state is not JobState.DEAD and await self.drop(job)

    async def _running(self) -> set[str]:
        groups = await self._redis.xinfo_groups(self.stream) if await self._redis.exists(self.stream) else ()
        if not groups:
            return set()
        pending = await self._redis.xpending_range(self.stream, GROUP, "-", "+", 10_000)
        return {entry["message_id"].decode() for entry in pending}

    async def _dead(self, job_id: str) -> ListedJob | None:
        data = await self._redis.hget(self._keys[5], job_id)
        if data is None:
            return None
        letter = DeadLetter.model_validate_json(data)
        return ListedJob(job_id, self.name, JobState.DEAD, letter.message.encode(), letter.died, letter)

    async def _delayed(self, job_id: str, moment: int) -> ListedJob | None:
        data = await self._redis.hget(self._keys[2], job_id)
        return None if data is None else ListedJob(job_id, self.name, JobState.DELAYED, data, moment)

    def _of_stream(self, entry: bytes, fields: dict[bytes, Any], running: set[str]) -> ListedJob:
        state = JobState.RUNNING if entry.decode() in running else JobState.WAITING
        job_id, data = fields.get(b"id", b"").decode(errors="replace"), fields.get(b"message", b"")
        return ListedJob(job_id, self.name, state, data, int(entry.decode().partition("-")[0]), entry=entry.decode())
