"""The log of a process: what setting it up does, and what a service gets."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sanicbase import Config, ResourceError
from sanicbase.log import close_logging, flush_logging, log_access, setup_logging
from sanicbase.log.formatters import TextFormatter
from sanicbase.log.handler import SLICE, LogHandler
from sanicbase.log.records import AccessRecord
from sanicbase.testing import wait_until
from tests.preloaded import PreloadedService

ROOT = Path(__file__).parents[2]


class ShopConfig(Config):
    SERVER_NAME = "shop"
    LOG_CONSOLE = False


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    close_logging()  # another test of this process may have set one up
    root = logging.getLogger()
    level = root.level
    yield tmp_path
    close_logging()
    root.setLevel(level)


def settings(folder: Path, **more: Any) -> Config:
    return ShopConfig(LOG_DIR=folder, **more)


def test_the_files_exist_from_the_start_and_are_private(folder: Path) -> None:
    setup_logging(settings(folder / "deep" / "down"))
    files = list((folder / "deep" / "down" / "shop").iterdir())
    assert {file.name for file in files} == {"run.log", "error.log", "access.log"}
    assert {file.stat().st_mode & 0o007 for file in files} == {0}


@pytest.fixture(params=[0o000, 0o077], ids=["open", "closed"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(*paths: Path) -> list[int]:
    return [path.stat().st_mode & 0o777 for path in paths]


@pytest.mark.usefixtures("umask")
def test_the_modes_do_not_depend_on_the_umask(folder: Path) -> None:
    setup_logging(settings(folder / "deep" / "down"))
    logs = folder / "deep" / "down" / "shop"
    assert modes(folder / "deep", folder / "deep" / "down", logs) == [0o750] * 3
    assert modes(*logs.iterdir()) == [0o640] * 3


def test_nobody_else_may_write_to_what_is_there_already(folder: Path) -> None:
    logs = folder / "shop"
    logs.mkdir()
    (logs / "run.log").touch()
    (logs / "run.log").chmod(0o666)
    logs.chmod(0o777)
    setup_logging(settings(folder))
    assert modes(logs, logs / "run.log") == [0o755, 0o644]  # who may read is the administrator's choice


def test_a_link_in_place_of_the_folder_is_refused(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "shop").symlink_to(folder / "elsewhere")
    with pytest.raises(
        ResourceError, match=r"shop cannot be written: it is a symbolic link\. Correct .* SHOP_LOG_DIR\.$"
    ):
        setup_logging(settings(folder))
    assert list((folder / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("target", ["there", "missing"])
def test_a_link_in_place_of_a_file_is_refused(folder: Path, target: str) -> None:
    logs = folder / "shop"
    logs.mkdir()
    (folder / "there").write_text("precious")
    (logs / "error.log").symlink_to(folder / target)
    with pytest.raises(ResourceError, match=r"error\.log cannot be written: it is a symbolic link\."):
        setup_logging(settings(folder))
    assert (folder / "there").read_text() == "precious"
    assert not (folder / "missing").exists()


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can make files of another account"
)
@pytest.mark.parametrize("name", ["shop", "shop/run.log"])
def test_files_of_another_account_are_refused(folder: Path, name: str) -> None:
    (folder / "shop").mkdir()
    (folder / "shop" / "run.log").touch()
    os.chown(folder / name, 65534, 65534)
    with pytest.raises(ResourceError, match=rf"{name} cannot be written: it belongs to another user \(uid 65534\)\."):
        setup_logging(settings(folder))


def test_calling_it_again_changes_nothing(folder: Path) -> None:
    setup_logging(settings(folder / "a"))
    setup_logging(settings(folder / "b"))
    assert len([one for one in logging.getLogger().handlers if isinstance(one, LogHandler)]) == 1
    assert not (folder / "b").exists()


def test_a_folder_that_cannot_be_written_is_an_error_message(folder: Path) -> None:
    (folder / "file").write_text("")
    with pytest.raises(ResourceError, match=r"The log .*shop.* cannot be written: .*\. Make .* or set SHOP_LOG_DIR\.$"):
        setup_logging(settings(folder / "file"))
    assert not [one for one in logging.getLogger().handlers if isinstance(one, LogHandler)]


def test_levels_and_files(folder: Path) -> None:
    setup_logging(settings(folder, LOG_LEVEL="WARNING"), process="script")
    logger = logging.getLogger("shop.handler")
    for level in ("info", "warning", "error"):
        getattr(logger, level)("an %s", level)
    log_access("10.0.0.1", "GET", "/", 200, 1, 1.0)
    flush_logging()
    run, error, access = ((folder / "shop" / f"{name}.log").read_text() for name in ("run", "error", "access"))
    assert re.findall(r"an (\w+)\n", run) == ["warning", "error"]
    assert re.findall(r"an (\w+)\n", error) == ["error"]
    assert " shop/script[" in run
    assert access.count("\n") == 1


def test_debug_logs_everything(folder: Path) -> None:
    setup_logging(settings(folder, DEBUG=True))
    logging.getLogger("shop").debug("a detail")
    flush_logging()
    assert "a detail" in (folder / "shop" / "run.log").read_text()


def test_an_access_line_before_the_log_is_set_up_is_no_error(folder: Path) -> None:
    log_access("10.0.0.1", "GET", "/", 200, 1, 1.0)
    assert list(folder.iterdir()) == []


def test_access_lines_are_formatted_in_short_slices_and_in_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup_logging(settings(folder))
    sizes, format_access = [], TextFormatter.format_access

    def counting(formatter: TextFormatter, records: Iterable[AccessRecord]) -> list[bytes]:
        lines = format_access(formatter, records)
        sizes.append(len(lines))
        return lines

    monkeypatch.setattr(TextFormatter, "format_access", counting)
    for number in range(3 * SLICE + 1):
        log_access("10.0.0.1", "GET", f"/{number}", 200, 1, 1.0)
    flush_logging()
    text = (folder / "shop" / "access.log").read_text()
    assert re.findall(r" /(\d+) ", text) == [str(number) for number in range(3 * SLICE + 1)]
    assert max(sizes) <= SLICE, "the event loop would wait for the GIL"


def test_every_file_is_json_where_that_is_wanted(folder: Path) -> None:
    setup_logging(settings(folder, LOG_FORMAT="json"))
    try:
        int("a\nb")
    except ValueError:
        logging.getLogger("shop").exception("failed\n%s", {"token": "x"})
    log_access("10.0.0.1", "GET", '/"\\', 200, 1, 1.0)
    flush_logging()
    for name in ("run", "error", "access"):
        (line,) = (folder / "shop" / f"{name}.log").read_text().splitlines()
        assert json.loads(line)["service"] == "shop"


SERVICE = """
import os, time
from sanic import Sanic
from sanic.response import text
from sanicbase import Config
from sanicbase.log import flush_logging, log_access, set_log_context, setup_logging
from sanic.log import logger

class ShopConfig(Config):
    SERVER_NAME = "shop"

config = ShopConfig()
app = Sanic("shop", configure_logging=False)

@app.before_server_start
async def start(app):
    setup_logging(config, process="http")

@app.signal("http.lifecycle.request")
async def begin(request):
    request.ctx.begun = time.perf_counter()
    set_log_context(request_id=str(request.id), user="")

@app.signal("http.lifecycle.response")
async def end(request, response):
    body = getattr(response, "body", None)  # a stream has none
    log_access(request.ip, request.method, request.path, response.status, None if body is None else len(body),
               (time.perf_counter() - request.ctx.begun) * 1000)

@app.get("/hello")
async def hello(request):
    set_log_context(user="7")
    logger.info("said hello")
    return text("hello")

@app.get("/other")
async def other(request):
    return text("other")

app.run(host="127.0.0.1", port=config.HTTP_PORT, single_process=True, access_log=False, motd=False)
"""


def test_requests_of_one_connection_have_different_ids(tmp_path: Path) -> None:
    launch_file = tmp_path / "http_shop.py"
    launch_file.write_text(SERVICE)
    env = {"SHOP_LOG_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    with PreloadedService(launch_file, env=env, prefix="SHOP_") as service:
        service.wait_ready(path="/other")
        service.client.get("/hello", headers={"X-Request-ID": "1001"})
        service.client.get("/other", headers={"X-Request-ID": "1002"})
        access = tmp_path / "shop" / "access.log"
        wait_until(lambda: "1002" in access.read_text(), what="the access line")
        service.terminate()
    first, second = access.read_text().splitlines()[-2:]
    assert re.search(r" shop/http\[\d+\] 127\.0\.0\.1 GET /hello 200 5 [\d.]+ms 1001 7$", first)
    assert re.search(r" 127\.0\.0\.1 GET /other 200 5 [\d.]+ms 1002 -$", second)
    assert re.search(r" sanic\.root 1001 7 said hello\n", (tmp_path / "shop" / "run.log").read_text())
