"""One machine against four: nginx, the services, Redis and PostgreSQL each in a network namespace of its own.

    python benchmarks/growing.py [seconds]

Needs root, for `ip netns`; PostgreSQL, Redis and nginx of the machine. The namespaces are joined by a bridge in one
more, so nothing of this machine's own network is touched, and are removed at the end. All share this machine's cores:
the figures say what the ways between machines cost and what an outage costs whom, not what more machines bring.

`one` has everything in the client's namespace, on its loopback. `four` has nginx, one service, Redis and PostgreSQL
apart; `five` has a second machine with the service. They are asked in turn, in random order, several rounds;
what counts are the ratios, the medians over the rounds. Then, on `five`, machines are stopped, reloaded and unplugged
under load.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sanicbase.testing.binaries import find_binaries

ROOT = Path(__file__).parents[1]
MACHINES = {"client": 2, "nginx": 3, "redis": 4, "postgres": 5, "web1": 11, "web2": 12}
NET = "10.77.0"
CLIENTS = 16
ROUNDS = 15
FRONTS = {8080: 2, 8081: 1}  # the ports of nginx, and how many copies of the service are behind each
OUTAGE = 3.0  # seconds that a machine is unplugged
SETTLING = 8.0  # seconds between two events, for caches that trust nothing for a while
ANYWHERE = "0.0.0.0"
INSIDE = "SANICBASE_GROWING"

PREPARE = """
import asyncio
from tortoise import Tortoise
from sanicbase import lifespan
from xi_test.config import config
from xi_test.model_db.main import Article, User

async def main():
    async with lifespan(config):
        await Tortoise.generate_schemas()
        author = await User.create(name="ann", token_digest="0" * 64)
        for number in range(20):
            await Article.create(slug=f"a{number}", title="Hello", body="x" * 500, author=author)

asyncio.run(main())
"""
NGINX = """
user root;
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


def sh(*args: str) -> None:
    subprocess.run(args, check=True, capture_output=True)


def space(machine: str) -> str:
    return f"sanicbase-{machine}"


@contextmanager
def network() -> Iterator[None]:
    """The namespaces, each with one address, joined by a bridge in a namespace of its own."""
    everybody = ["switch", *MACHINES]
    try:
        for machine in everybody:
            sh("ip", "netns", "add", space(machine))
            sh("ip", "-n", space(machine), "link", "set", "lo", "up")
        sh("ip", "-n", space("switch"), "link", "add", "br0", "type", "bridge")
        sh("ip", "-n", space("switch"), "link", "set", "br0", "up")
        for machine, number in MACHINES.items():
            plug = ("ip", "-n", space("switch"), "link")
            sh(*plug, "add", machine, "type", "veth", "peer", "name", "eth0", "netns", space(machine))
            sh(*plug, "set", machine, "master", "br0", "up")
            sh("ip", "-n", space(machine), "addr", "add", f"{NET}.{number}/24", "dev", "eth0")
            sh("ip", "-n", space(machine), "link", "set", "eth0", "up")
        yield
    finally:
        for machine in everybody:
            subprocess.run(["ip", "netns", "del", space(machine)], capture_output=True, check=False)


@dataclass
class Layout:
    """Which machine runs what, and the processes that run."""

    folder: Path
    place: Callable[[str], str]
    copies: int
    stack: ExitStack = field(default_factory=ExitStack)
    services: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def address(self, machine: str) -> str:
        at = self.place(machine)
        return "127.0.0.1" if at == "client" else f"{NET}.{MACHINES[at]}"

    def start(self, machine: str, *command: str, **options: object) -> subprocess.Popen[bytes]:
        """Start a process on a machine; it ends with the layout."""
        args = ["ip", "netns", "exec", space(self.place(machine)), *command]
        with (self.folder / f"{machine}.log").open("ab") as log:
            process = subprocess.Popen(args, stdout=log, stderr=log, **options)  # type: ignore[call-overload]
        self.stack.callback(self.end, process)
        return process  # type: ignore[no-any-return]

    @staticmethod
    def end(process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def run(self) -> None:
        """Start everything, and return when nginx has an answer of every service."""
        self._start_postgres()
        (redis,) = find_binaries("redis-server") or sys.exit("This needs redis-server.")
        self.start("redis", redis, "--bind", ANYWHERE, "--protected-mode", "no", "--port", "6379", "--save", "")
        until(lambda: connects(self.address("redis"), 6379))
        for number in range(1, self.copies + 1):
            self.start_service(f"web{number}", prepare=number == 1)
        self._start_nginx()

    def start_service(self, machine: str, *, prepare: bool = False) -> None:
        project = self.folder / machine
        shutil.copytree(ROOT / "xi_test", project / "xi_test", dirs_exist_ok=True)
        shutil.copy(ROOT / "http_xi_test.py", project)
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{project}:{ROOT}",
            "XI_TEST_DB_URL": f"postgres://postgres@{self.address('postgres')}:5432/postgres",
            "XI_TEST_REDIS_URL": f"redis://{self.address('redis')}:6379/0",
            "XI_TEST_HOST": ANYWHERE,
            "XI_TEST_TRUSTED_PROXIES": f"127.0.0.1,{NET}.0/24",
            "XI_TEST_CONNECT_TIMEOUT": "2",
            "XI_TEST_DB_STATEMENT_TIMEOUT": "2",
            "XI_TEST_CACHE_CLOSED_TTL": "4",
        }
        if prepare:
            preparation = self.start(machine, sys.executable, "-c", PREPARE, env=env, cwd=project)
            if preparation.wait(60):
                sys.exit((self.folder / f"{machine}.log").read_text())
        self.services[machine] = self.start(machine, sys.executable, "http_xi_test.py", env=env, cwd=project)
        until(lambda: connects(self.address(machine), 8800) and answers(self.address(machine), 8800, "/readyz"))

    def _start_postgres(self) -> None:
        initdb, postgres = find_binaries("initdb", "postgres", together=True) or sys.exit("This needs PostgreSQL.")
        data = self.folder / "data"
        shutil.chown(self.folder, "postgres")
        other = ("setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups")
        initialization = self.start(
            "postgres", *other, initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync"
        )
        if initialization.wait(60):
            sys.exit("initdb failed.")
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {NET}.0/24 trust\n")
        options = ("-c", "listen_addresses=*", "-c", "unix_socket_directories=", "-c", "fsync=off")
        self.start("postgres", *other, postgres, "-D", str(data), *options)
        until(lambda: connects(self.address("postgres"), 5432))

    def _start_nginx(self) -> None:
        for port, copies in FRONTS.items():
            folder = self.folder / f"nginx-{port}"
            folder.mkdir()
            (folder / "site.conf").write_text(self._site(port, [*self.services][:copies]))
            (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
            (nginx,) = find_binaries("nginx") or sys.exit("This needs nginx.")
            self.start("nginx", nginx, "-e", "stderr", "-c", str(folder / "nginx.conf"))
            until(lambda port=port: answers(self.address("nginx"), port, "/readyz"))  # type: ignore[misc]

    def _site(self, port: int, services: list[str]) -> str:
        project = self.folder / "web1"
        copies = [word for name in services for word in ("--http", f"{self.address(name)}:8800")]
        args = ["deploy", "nginx", "xi_test", "--listen", str(port), "--force", *copies]
        subprocess.run([sys.executable, "-m", "sanicbase", *args], cwd=project, check=True, capture_output=True)
        rendered = (project / "deploy" / "nginx" / "xi_test.conf").read_text()
        return rendered.replace(f"    listen [::]:{port};\n", "")


def until(fact: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            raise TimeoutError("It did not come true.")
        time.sleep(0.05)


def connects(host: str, port: int) -> bool:
    async def connect() -> bool:
        try:
            async with asyncio.timeout(1):
                _, writer = await asyncio.open_connection(host, port)
        except OSError:
            return False
        writer.close()
        return True

    return asyncio.run(connect())


def answers(host: str, port: int, path: str) -> bool:
    counted = asyncio.run(load(host, path, seconds=0.3, clients=1, port=port))
    return bool(counted.times) and not counted.failures


@dataclass
class Counted:
    """What a load saw: the seconds of each answer, when it came, and what did not come."""

    times: list[float] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)

    def fail(self, why: str) -> None:
        self.failures[why] = self.failures.get(why, 0) + 1

    def longest_gap(self) -> float:
        """The longest time without any answer, in seconds."""
        return max((later - earlier for earlier, later in zip(self.moments, self.moments[1:], strict=False)), default=0)


async def load(host: str, path: str, *, seconds: float, clients: int = CLIENTS, port: int = 8080) -> Counted:
    """Ask again and again on kept connections, for so many seconds."""
    counted, end = Counted(), time.monotonic() + seconds
    await asyncio.gather(*(one_client(host, port, path, end, counted) for _ in range(clients)))
    return counted


async def one_client(host: str, port: int, path: str, end: float, counted: Counted) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    writer = None
    while time.monotonic() < end:
        begun = time.monotonic()
        try:
            async with asyncio.timeout(10):
                if writer is None:
                    reader, writer = await asyncio.open_connection(host, port)
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                status, length = (
                    head.split(b" ", 2)[1],
                    head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0],
                )
                await reader.readexactly(int(length or 0))
        except (OSError, asyncio.IncompleteReadError) as exc:
            counted.fail(type(exc).__name__)
            writer = None
            await asyncio.sleep(0.05)
            continue
        if status == b"200":
            counted.times.append(time.monotonic() - begun)
            counted.moments.append(time.monotonic())
        else:
            counted.fail(status.decode())
        if b"connection: close" in head.lower():
            writer.close()
            writer = None


def measure(seconds: float, folder: Path) -> None:
    """Print the table of the layouts, then that of the events."""
    folder.chmod(0o755)
    one = Layout(folder / "one", lambda machine: "client", 1)
    many = Layout(folder / "many", lambda machine: machine, 2)
    with one.stack, many.stack:
        for layout in (one, many):
            layout.folder.mkdir()
            layout.run()
        layouts = {"one": (one, 8080), "four": (many, 8081), "five": (many, 8080)}
        for name, path in (("cached", "/xi_test/articles/1"), ("listed", "/xi_test/articles")):
            compare(name, path, layouts, seconds)
        one.stack.close()
        events(many)


def compare(title: str, path: str, layouts: dict[str, tuple[Layout, int]], seconds: float) -> None:
    """One row for each layout: requests a second, and their ratio to one machine's in the same round."""
    rounds: list[dict[str, Counted]] = []
    for _ in range(ROUNDS + 1):  # the first one warms up
        names, counted = list(layouts), {}
        random.shuffle(names)
        for name in names:
            layout, port = layouts[name]
            counted[name] = asyncio.run(load(layout.address("nginx"), path, seconds=seconds, port=port))
        rounds.append(counted)
    for name in layouts:
        rate = statistics.median(len(measured[name].times) for measured in rounds[1:]) / seconds
        ratio = statistics.median(len(measured[name].times) / len(measured["one"].times) for measured in rounds[1:])
        slow = statistics.median(statistics.median(measured[name].times) for measured in rounds[1:])
        failed = sum(sum(measured[name].failures.values()) for measured in rounds)
        say(
            f"{title:7} {name:5} {rate:6.0f} requests/s  {ratio:5.2f} of one machine's  "
            f"median {slow * 1000:6.1f} ms  failed {failed}"
        )


def events(layout: Layout) -> None:
    """What happens to requests while machines are stopped, reloaded and unplugged."""

    def unplug(machine: str) -> None:
        sh("ip", "-n", space("switch"), "link", "set", machine, "down")
        time.sleep(OUTAGE)
        sh("ip", "-n", space("switch"), "link", "set", machine, "up")

    def restart() -> None:
        Layout.end(layout.services["web1"])
        layout.start_service("web1")

    def reload() -> None:
        layout.services["web2"].send_signal(signal.SIGHUP)
        time.sleep(OUTAGE)

    happenings: dict[str, tuple[Callable[[], None], str]] = {
        "a service is reloaded": (reload, "/xi_test/articles"),
        "a service is stopped and started": (restart, "/xi_test/articles"),
        "a service's machine is unplugged": (lambda: unplug("web1"), "/xi_test/articles"),
        "Redis is unplugged, cached": (lambda: unplug("redis"), "/xi_test/articles/1"),
        "Redis is unplugged, listed": (lambda: unplug("redis"), "/xi_test/articles"),
        "PostgreSQL is unplugged, cached": (lambda: unplug("postgres"), "/xi_test/articles/1"),
        "PostgreSQL is unplugged, listed": (lambda: unplug("postgres"), "/xi_test/articles"),
    }
    for name, (happen, path) in happenings.items():
        time.sleep(SETTLING)
        counted = asyncio.run(watch(layout.address("nginx"), path, happen))
        say(
            f"{name:33} answered {len(counted.times):6}  failed {sum(counted.failures.values()):5} "
            f"{counted.failures or ''}  longest silence {counted.longest_gap():5.2f} s"
        )


async def watch(host: str, path: str, happen: Callable[[], None]) -> Counted:
    watching = asyncio.create_task(load(host, path, seconds=OUTAGE + 8, clients=4))
    await asyncio.sleep(1)
    await asyncio.to_thread(happen)
    return await watching


def say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    """Make the network, and measure from inside the client's namespace."""
    if os.environ.get(INSIDE):
        with tempfile.TemporaryDirectory(prefix="sanicbase-growing-") as folder:
            measure(float(sys.argv[1]), Path(folder))
        return
    seconds = sys.argv[1] if len(sys.argv) > 1 else "1"
    with network():
        command = ["ip", "netns", "exec", space("client"), sys.executable, __file__, seconds]
        sys.exit(subprocess.run(command, env={**os.environ, INSIDE: "1"}, check=False).returncode)


if __name__ == "__main__":
    main()
