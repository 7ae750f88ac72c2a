"""The p99 of a JSON view, idle and while 50 users sign in at once: `python benchmarks/sign_ins.py [rounds]`.

Four workers, passwords with the default parameters. Each round measures both, one after the other, and prints their
ratio, which must be at most 2. It needs a machine that does nothing else.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import httpx

from sanicbase import Passwords
from sanicbase.testing import ServiceProcess

SIGN_INS = 50
RATE = 200  # requests of the view per second
SECONDS = 4.0
CONFIG = """
from sanicbase import Config

class ShopConfig(Config):
    SERVER_NAME = "shop"
    MODEL_LIST = []
"""
LAUNCH = """
from sanic import Blueprint
from sanicbase import APIView, Passwords, create_app, serve
from shop.config import ShopConfig

passwords = Passwords()

class SignInAPI(APIView, public=True):
    async def post(self, request) -> bool:
        return (await passwords.verify("wrong", {stored!r})).matches

class ItemAPI(APIView, public=True):
    async def get(self, request) -> dict[str, int]:
        return {{"id": 1}}

blueprint = Blueprint("shop")
SignInAPI.attach(blueprint, "/sign-in")
ItemAPI.attach(blueprint, "/item")
app = create_app(ShopConfig(), blueprint)

if __name__ == "__main__":
    serve(app)
"""


async def p99(base_url: str) -> float:
    """The p99 in milliseconds of requests that are sent at a fixed rate, whether earlier ones were answered or not."""
    times: list[float] = []
    async with httpx.AsyncClient(base_url=base_url, trust_env=False, timeout=60) as client:

        async def read() -> None:
            start = time.perf_counter()
            (await client.get("/item")).raise_for_status()
            times.append(time.perf_counter() - start)

        async with asyncio.TaskGroup() as group:
            begun = time.perf_counter()
            for number in range(int(RATE * SECONDS)):
                await asyncio.sleep(max(0.0, begun + number / RATE - time.perf_counter()))
                group.create_task(read())
    return sorted(times)[int(len(times) * 0.99)] * 1000


async def sign_in_until(stop: asyncio.Event, base_url: str) -> int:
    """Keep that many sign-ins under way; returns how many were answered."""
    answered = 0
    limits = httpx.Limits(max_connections=SIGN_INS)
    async with httpx.AsyncClient(base_url=base_url, trust_env=False, timeout=None, limits=limits) as client:

        async def user() -> None:
            nonlocal answered
            while not stop.is_set():
                answered += (await client.post("/sign-in")).is_success  # others took longer than a response may

        await asyncio.gather(*(user() for _ in range(SIGN_INS)))
    return answered


async def measure(base_url: str, rounds: int) -> None:
    """Print a line for each round."""
    await p99(base_url)  # warms up
    for _ in range(rounds):
        idle = await p99(base_url)
        stop = asyncio.Event()
        signing_in = asyncio.create_task(sign_in_until(stop, base_url))
        await asyncio.sleep(0.5)
        busy = await p99(base_url)
        stop.set()
        print(f"idle {idle:6.2f} ms   busy {busy:6.2f} ms   ratio {busy / idle:4.2f}   {await signing_in} sign-ins")


def main() -> None:
    """Start the service, and measure it."""
    stored = asyncio.run(Passwords().hash("right"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "shop" / "config").mkdir(parents=True)
        (folder / "shop" / "__init__.py").touch()
        (folder / "shop" / "config" / "__init__.py").write_text(CONFIG)
        (folder / "http_shop.py").write_text(LAUNCH.format(stored=stored))
        env = {"SHOP_WORKERS": "4", "SHOP_LOG_LEVEL": "WARNING"}
        with ServiceProcess(folder / "http_shop.py", cwd=folder, prefix="SHOP_", env=env) as service:
            service.wait_ready()
            asyncio.run(measure(service.base_url, int(sys.argv[1]) if len(sys.argv) > 1 else 5))


if __name__ == "__main__":
    main()
