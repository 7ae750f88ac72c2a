"""The guide "First service", from the install to an API over a table of one's own: each command as it is printed."""

from __future__ import annotations

import shlex
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sanicbase.testing import ServiceProcess, free_port
from tests.cli.conftest import Folder

ROOT = Path(__file__).parents[2]
PAGES = [(ROOT / "docs" / language / "first-service.md").read_text(encoding="utf-8") for language in ("en", "zh")]

pytestmark = pytest.mark.xdist_group("wheel")

Type = Callable[[str], str]


@pytest.fixture
def python(tmp_path: Path, wheel: Path) -> Path:
    """An environment with the wheel; what it depends on is taken from this one, for nothing is downloaded."""
    home = tmp_path / ".venv"
    venv.create(home, symlinks=True)
    python, packages = home / "bin" / "python", next((home / "lib").glob("python*/site-packages"))
    # A plain line leads to this environment's packages, and not on to this project, which another file there names.
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-index"]
    subprocess.run([*pip, "--no-deps", "--force-reinstall", str(wheel)], check=True, timeout=60)
    for name in ("aerich", "pip", "pytest"):
        script = python.with_name(name)
        script.write_text(f"#!{python}\n{Path(sys.executable).with_name(name).read_text().partition(chr(10))[2]}")
        script.chmod(0o755)
    return python


@pytest.fixture
def typed(folder: Folder, python: Path) -> Type:
    """What a command prints, which must be the next of the guide's, and succeed."""
    folder.env["PATH"] = f"{python.parent}:{folder.env['PATH']}"
    folder.env |= {"SHOP_HTTP_PORT": str(free_port()), "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    unread = list(PAGES)

    def type_(command: str) -> str:
        for number, page in enumerate(unread):
            assert f"\n{command}\n" in page, f"{command!r} is not what the guide says next"
            unread[number] = f"\n{page.partition(f'{chr(10)}{command}{chr(10)}')[2]}"
        return folder.run(*shlex.split(command))

    return type_


@pytest.mark.timeout(120)  # what a newcomer may be asked to wait, downloads aside
def test_the_quickstart_works_as_printed(folder: Folder, typed: Type, python: Path) -> None:
    imported = folder.run("python", "-c", "import sanicbase; print(sanicbase.__file__)")
    assert Path(imported).is_relative_to(python.parents[1]), "not this project's own folder"

    typed("sanicGuider new shop --yes")
    with started(folder, python) as service:
        assert service.client.get("/shop/hello").json()["data"] == {"hello": "shop"}
    typed("aerich init -t shop.config.migrate_db")
    assert "Warning" not in typed("aerich init-db")
    typed("sanicGuider add model article")
    typed("aerich migrate")
    assert "Success upgrading" in typed("aerich upgrade")
    typed("sanicGuider add api article")
    with started(folder, python) as service:
        written = service.client.post("/shop/articles", json={"title": "Hello"})
        assert written.status_code == 201, written.text
        assert service.client.get("/shop/articles/1").json()["data"]["title"] == "Hello"
        assert service.client.get("/shop/articles").json()["total"] == 1
    typed("pip install -e '.[dev]'")
    assert " passed in " in typed("pytest")
    assert typed("sanicGuider doctor") == "shop: no problems found.\n"


@contextmanager
def started(folder: Folder, python: Path) -> Iterator[ServiceProcess]:
    launch = folder.path / "http_shop.py"
    with ServiceProcess(launch, command=[str(python), str(launch)], cwd=folder.path, prefix="SHOP_") as service:
        service.wait_ready()
        yield service
