"""A shop whose processes are killed at random: enqueuers, relays and workers, until every order has its mail.

`service(directory)` writes a launch file that imports the shop once and forks the processes of STORM_ROLES, each again
when it was killed. STORM_KILL is how likely a process is killed (kill -9) at each point where a guarantee is at stake;
the first process of each role is killed at one of its first twenty points in any case. A process that ends because a
server is away is started again, too.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["service"]

SERVICE = """
import asyncio, os, random, signal, sys, time
import taskiq
from sanicbase import get_redis, job, lifespan, run_scripts, transaction
from sanicbase.jobs import worker
from sanicbase.jobs.outbox import _Relay
from sanicbase.process.parent import die_with
from tests.jobs.ordering import Order, OrderingConfig

KILL, ORDERS = float(os.environ["STORM_KILL"]), int(os.environ["STORM_ORDERS"])
points_left = None

def storm():
    global points_left
    if points_left is not None:
        points_left -= 1
    if points_left == 0 or random.random() < KILL:
        os.kill(os.getpid(), signal.SIGKILL)

def around(method):
    async def wrapped(*args, **kwargs):
        storm()
        result = await method(*args, **kwargs)
        storm()
        return result
    return wrapped

_Relay._delete = around(_Relay._delete)
wake = _Relay.wake

def wake_unless_killed(relay):
    storm()
    wake(relay)

_Relay.wake = wake_unless_killed

@job(name="count", once=True, retries=100, backoff=0.2)
async def count(order: int) -> None:
    row = await Order.get(id=order)
    storm()
    await Order.filter(id=order).update(mails=row.mails + 1)
    storm()

@job(name="see", retries=100, backoff=[0.2])
async def see(order: int) -> None:
    storm()
    await get_redis().hincrby("seen", order, 1)
    if random.random() < 0.1:
        await get_redis().incr("failures")
        raise LookupError("a failure")

async def enqueue() -> None:
    while await Order.all().count() < ORDERS:
        async with transaction():
            order = await Order.create()
            await count.enqueue(order.id)
            await see.enqueue(order.id)
            storm()

def start(role: str, *, first: bool = False) -> int:
    global points_left
    main = os.getpid()
    if pid := os.fork():
        return pid
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with(main)
    random.seed()
    points_left = random.randint(1, 20) if first else None
    try:
        run_scripts(OrderingConfig(), [enqueue] if role == "enqueuer" else [count, see], concurrency=2)
        os._exit(0)
    except BaseException as exc:
        print(f"{exc!r}", file=sys.stderr, flush=True)
        os._exit(1)

if __name__ == "__main__":
    children = {}
    def stop(*_):
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        os._exit(0)
    signal.signal(signal.SIGTERM, stop)
    for role in os.environ["STORM_ROLES"].split():
        children[start(role, first=True)] = role
    while children:
        pid, status = os.wait()
        role = children.pop(pid)
        print(f"ended {role} {os.waitstatus_to_exitcode(status)}", flush=True)
        if status:
            if os.WIFEXITED(status):  # a server was away when it started
                time.sleep(0.5)
            children[start(role)] = role
"""


def service(directory: Path) -> Path:
    """The launch file of the shop."""
    path = directory / "srv_shop.py"
    path.write_text(SERVICE, encoding="utf-8")
    return path
