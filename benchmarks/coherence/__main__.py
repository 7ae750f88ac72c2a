"""Check that no get is older than a write that has returned: `python -m benchmarks.coherence --seconds 60`.

Several processes read and write a few hot keys through RCModel, every way there is, with random pauses between all
steps of the library; some are killed or stopped. Afterwards all that was seen is held against the history that the
database has. The exit status is 1 when anything was wrong. `--control` checks a naive cache, which must be caught.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import tempfile
import time
import traceback
from collections import Counter as Counts
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from tortoise import Tortoise

from benchmarks.coherence.faults import Crew, redis_of_ones_own, upset
from benchmarks.coherence.judging import Committed, Judgement, judge
from benchmarks.coherence.log import Get, Written, read_log
from benchmarks.coherence.shelf import CODES, KEYS, SLUGS, CachedItem, Counter, History, Item, Owner, ShelfConfig
from benchmarks.coherence.worker import Plan, run
from sanicbase.db import Database
from sanicbase.testing.databases import fresh_mysql_database, fresh_postgres_database
from sanicbase.testing.servers import mysql_server, postgres_server

WRONG = ("stale", "ghost", "lost", "backwards", "own", "different")
STATEMENT, CLOSED = 1.0, 3.0  # seconds: the shortest that go together


def main() -> int:
    args = _arguments()
    stores = ["sqlite", "postgres", "mysql"] if args.store == "all" else [args.store]
    _print_row("store", "processes", "gets", "hit share", "writes", "failed", "kills", *WRONG)
    status = 0
    for store in stores:
        with _store(store) as url:
            status |= _check(store, url, args)
    return status


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coherence", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of load, for each store")
    parser.add_argument("--store", choices=["all", "sqlite", "postgres", "mysql"], default="all")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--redis-every", type=float, metavar="SECONDS", help="empty, freeze or restart Redis so often")
    parser.add_argument("--local", type=float, metavar="SECONDS", help="keep entries in memory, with this maximum lag")
    parser.add_argument("--control", action="store_true", help="check a naive cache, which must be caught")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    return parser.parse_args()


def _check(store: str, url: str, args: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as folder, redis_of_ones_own() as (server, redis_url):
        os.chdir(folder)
        config = ShelfConfig(
            DB_URL=url,
            REDIS_URL=redis_url,
            DB_STATEMENT_TIMEOUT=STATEMENT,
            CACHE_CLOSED_TTL=CLOSED,
            DB_POOL_SIZE=8,
            CACHE_LOCAL_MAX_LAG=args.local or 1.0,
        )
        CachedItem._options = replace(CachedItem._options, local=args.local is not None)
        asyncio.run(_prepare(config))
        until = time.monotonic() + args.seconds
        starter = _Starter(config, Path(folder), until, naive=args.control, seed=args.seed)
        crew = Crew(starter, args.processes)
        try:
            happened = upset(crew, server, redis_url, until=until, redis_every=args.redis_every)
            ended = crew.wait()
        finally:
            crew.end()
        history = asyncio.run(_history(config))
        os.chdir("/")
        logs = sorted(Path(folder).glob("*.log"))
        return _report(store, history, logs, happened, ended, lag=args.local or 0.0)


class _Starter:
    """Starts the processes of the load, each with a log and a seed of its own."""

    def __init__(self, config: ShelfConfig, folder: Path, until: float, *, naive: bool, seed: int) -> None:
        self._config = config
        self._folder = folder
        self._until = until
        self._naive = naive
        self._seed = seed

    def __call__(self, index: int) -> int:
        self._seed += 1
        if pid := os.fork():
            return pid
        status = 1
        try:
            logging.basicConfig(filename=self._folder / "messages")
            log = self._folder / f"{self._seed}.log"
            compare_at = self._until + (0.0 if self._naive else CLOSED + 1.5)  # a naive cache closes nothing
            plan = Plan(self._config, log, self._until, compare_at, self._naive, index == 0, self._seed)
            asyncio.run(run(plan))
            status = 0
        except Exception:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)


async def _prepare(config: ShelfConfig) -> None:
    async with Database(config):
        await Tortoise.generate_schemas()
        now = time.monotonic()
        for key in KEYS:
            slug = SLUGS[key][0]
            owner = await Owner.create(id=key)
            await Item.create(id=key, slug=slug, code=CODES[slug], version=1, token="first", owner=owner)
            await Counter.create(id=key, version=1)
            await History.create(key=key, version=1, slug=slug, token="first", began=now, past_the_model=False)


async def _history(config: ShelfConfig) -> list[Committed]:
    async with Database(config):
        rows = await History.all().values_list("key", "version", "slug", "token", "began", "past_the_model")
        return [Committed(*row) for row in rows]


def _report(
    store: str, history: list[Committed], logs: list[Path], happened: Counts[str], ended: list[int], *, lag: float
) -> int:
    lines = [line for path in logs for line in read_log(path)]
    gets = [Get(*values) for kind, values in lines if kind == "get"]
    writes = [Written(*values) for kind, values in lines if kind == "write"]
    judgement = judge(history, gets, writes, lag=lag)
    for kind, values in lines:
        if kind in ("own", "different"):
            judgement.add(kind, values)
    compared = any(kind == "compared" for kind, _ in lines)
    failed = sum(kind == "failed" for kind, _ in lines)
    figures = [len(ended), len(gets), _hit_share(lines), len(writes), failed, happened["kills"]]
    _print_row(store, *figures, *(judgement.counts[values] for values in WRONG))
    happened.update(str(values) for kind, values in lines if kind == "failed")
    _print_rest(judgement, happened)
    if not compared or any(ended):
        print(f"A process of the load failed: {ended}", file=sys.stderr)
    return int(bool(judgement.counts) or not compared or any(ended))


def _hit_share(lines: list[tuple[str, object]]) -> str:
    sums: Counts[str] = Counts()
    for kind, values in lines:
        if kind == "stats" and isinstance(values, dict):
            sums.update(values)
    hits = sums["hits"] + sums["local_hits"]
    reads = hits + sums["misses"] + sums["bypasses"]
    return f"{hits / reads:.0%}" if reads else "-"


def _print_row(*cells: object) -> None:
    print("".join(f"{cell!s:>11}" for cell in cells), flush=True)


def _print_rest(judgement: Judgement, happened: Counts[str]) -> None:
    others = ", ".join(f"{what} {count}" for what, count in sorted(happened.items()) if what != "kills")
    if others:
        print(f"{'':>11}besides: {others}")
    for sentence in judgement.sentences:
        print(f"{'':>11}{sentence}")


@contextmanager
def _store(name: str) -> Iterator[str]:
    if name == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite://{folder}/coherence.sqlite3"
        return
    servers: dict[str, AbstractContextManager[str]] = {"postgres": postgres_server(), "mysql": mysql_server()}
    with servers[name] as server:
        fresh = fresh_postgres_database if name == "postgres" else fresh_mysql_database
        with fresh(server) as url:
            yield url


if __name__ == "__main__":
    sys.exit(main())
