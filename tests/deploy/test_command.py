"""`sanicGuider deploy`: what it writes, what it leaves alone, and its sentences."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sanicbase.deploy.accounts import access_denied_reason
from tests.app.conftest import Project
from tests.deploy.conftest import Result, run_deploy

ROOT = Path(__file__).parents[2]
RENDERED = re.findall(r"^\t\$\(BIN\)/sanicGuider deploy (.*) --force$", (ROOT / "Makefile").read_text(), re.MULTILINE)

Deploy = Callable[..., Result]


@pytest.mark.parametrize("args", RENDERED)
def test_the_committed_files_are_those_that_are_rendered(args: str) -> None:
    result = run_deploy(ROOT, args.split())
    assert result.returncode == 0, result.stderr + "run `make deploy`"
    assert result.stdout.startswith("All files already exist.\n"), "run `make deploy`"


def test_every_kind_is_committed() -> None:
    kinds = {args.split()[0] for args in RENDERED}
    assert kinds == {"systemd", "supervisor", "nginx", "compose", "k8s", "grafana"}
    assert (ROOT / "deploy" / "docker" / "xi_test.Dockerfile").exists()


@pytest.mark.parametrize(
    ("files", "setting", "count"),
    [
        ("systemd/*.service", "Environment=XI_TEST_ENV=prod\n", 1),
        ("systemd/user/*.service", "Environment=XI_TEST_ENV=prod\n", 1),
        ("supervisor/*.conf", 'environment=PYTHONUNBUFFERED="1",XI_TEST_ENV="prod"\n', 3),
        ("docker/*.Dockerfile", "    XI_TEST_ENV=prod \\\n", 1),
        ("compose/*.yaml", "      XI_TEST_ENV: prod\n", 4),
        ("k8s/xi_test/settings.yaml", "  XI_TEST_ENV: prod\n", 1),
    ],
)
def test_deployed_services_run_in_prod(files: str, setting: str, count: int) -> None:
    rendered = sorted((ROOT / "deploy").glob(files))
    assert rendered
    assert [file.read_text().count(setting) for file in rendered] == [count] * len(rendered)


def test_it_says_what_it_wrote_and_what_to_type(deploy: Deploy) -> None:
    result = deploy("nginx", "xi_test")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[:2] == ["Wrote deploy/nginx/xi_test.conf.", "Wrote deploy/nginx/xi_test.env."]
    assert "  nginx -t" in lines[lines.index("Next:") :]


def test_a_changed_file_is_shown_and_kept(deploy: Deploy, project: Project) -> None:
    deploy("nginx", "xi_test")
    file = project.directory / "deploy" / "nginx" / "xi_test.conf"
    changed = file.read_text().replace("server_name _;", "server_name mine;")
    file.write_text(changed)
    (project.directory / "deploy" / "nginx" / "xi_test.env").unlink()
    result = deploy("nginx", "xi_test")
    assert result.returncode == 1
    assert "deploy/nginx/xi_test.conf was edited" in result.stderr
    assert "-    server_name mine;\n+    server_name _;" in result.stderr
    assert file.read_text() == changed
    assert not (project.directory / "deploy" / "nginx" / "xi_test.env").exists(), "all or nothing"
    assert deploy("nginx", "xi_test", "--force").returncode == 0
    assert "server_name _;" in file.read_text()


def test_a_service_has_files_for_the_launch_files_it_has(deploy: Deploy, project: Project) -> None:
    (project.directory / "ws_xi_test.py").unlink()
    result = deploy("systemd", "xi_test", "--account", "--to", "out")
    assert result.returncode == 0, result.stderr
    units = {path.name for path in (project.directory / "out" / "systemd" / "user").iterdir()}
    assert units == {"http_xi_test.service", "srv_xi_test.service", "xi_test.target"}
    assert "ws_xi_test" not in (project.directory / "out" / "systemd" / "user" / "xi_test.target").read_text()


def test_a_service_that_is_not_there_is_an_error_message(deploy: Deploy, project: Project) -> None:
    result = deploy("systemd", "nowhere", "--account")
    assert result.returncode == 2
    assert "There is no service nowhere. The services are: xi_test." in result.stderr


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ("systemd xi_test --user nobody-here", "The account nobody-here does not exist. Create it"),
        ("systemd xi_test --account --python /nowhere/python", "/nowhere/python is not an executable interpreter."),
        ("systemd xi_test --account --python venv/python", "venv/python is not an absolute path"),
        ("systemd xi_test --account --directory /nowhere", "/nowhere/http_xi_test.py does not exist."),
        ("systemd xi_test --account --directory '/a;b' --elsewhere", "which the files do not support"),
        ("systemd xi_test --account --user root", "Use either --user, for files of root, or --account."),
        ("systemd xi_test --elsewhere --user 'a b'", "'a b' is not a valid account name."),
        ("supervisor xi_test --user nobody-here", "The account nobody-here does not exist. Create it"),
        ("nginx xi_test --http nonsense", "'nonsense' is not an address. Write HOST:PORT"),
        ("nginx xi_test --http 10.0.0.1:99999", "is not an address. Write HOST:PORT"),
        ("nginx xi_test --server-name 'a;b'", "'a;b' is not a server name"),
        ("docker xi_test --python-version 2.7", "'2.7' is not a version of Python"),
        ("docker xi_test", "that lists the packages of the image"),
        ("k8s xi_test --image 'a b'", "'a b' is not an image name"),
        ("grafana xi_test --job 'a\"b'", "is not a name of a job"),
        ("nginx xi_test --to /dev/null", "/dev/null is not writable"),
    ],
)
def test_an_error_is_an_error_message(deploy: Deploy, project: Project, args: str, sentence: str) -> None:
    result = deploy(*shlex.split(args))
    assert result.returncode == 1
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert not (project.directory / "deploy").exists()


def test_a_service_without_launch_files_is_an_error_message(deploy: Deploy, project: Project) -> None:
    for file in project.directory.glob("*_xi_test.py"):
        file.unlink()
    result = deploy("systemd", "xi_test", "--account")
    assert result.returncode == 1
    assert "has no launch file of xi_test" in result.stderr


def test_scripts_alone_need_no_nginx(deploy: Deploy, project: Project) -> None:
    (project.directory / "ws_xi_test.py").unlink()
    (project.directory / "http_xi_test.py").unlink()
    result = deploy("nginx", "xi_test")
    assert (result.returncode, "nginx has nothing to proxy" in result.stderr) == (1, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask for another account")
def test_an_account_that_cannot_access_the_project_is_refused(deploy: Deploy, project: Project) -> None:
    project.directory.chmod(0o700)
    result = deploy("systemd", "xi_test", "--user", "nobody", "--python", sys.executable)
    assert result.returncode == 1
    assert "nobody cannot access" in result.stderr
    assert "(mode 700)" in result.stderr
    assert "no access to" in result.stderr


def test_a_root_folder_needs_an_account_by_name(deploy: Deploy, project: Project) -> None:
    result = deploy("systemd", "xi_test")
    if project.directory.owner() == "root":
        assert (result.returncode, "belongs to root. Pass the account" in result.stderr) == (1, True)
    else:
        unit = project.directory / "deploy" / "systemd" / "http_xi_test.service"
        assert f"User={project.directory.owner()}" in unit.read_text()


def test_reach_follows_the_bits_for_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    file = tmp_path / "file"
    file.touch(0o600)
    assert access_denied_reason(file, "root") is None
    reason = access_denied_reason(file, "nobody")
    assert reason is not None
    assert "no access to" in reason


TYPED = re.findall(r"^sanicGuider deploy (.*)$", (ROOT / "docs/en/deployment.md").read_text(), re.MULTILINE)
TYPED += re.findall(r"^sanicGuider deploy (.*)$", (ROOT / "docs/en/growing.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("args", sorted(set(TYPED)))
def test_commands_of_the_guides_can_be_typed(deploy: Deploy, project: Project, args: str) -> None:
    (project.directory / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    # The account of the page need not be this machine's.
    result = deploy(*args.split(), *(["--elsewhere"] if "--user" in args and "--elsewhere" not in args else []))
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    "args",
    [
        "systemd xi_test --user xi_test --elsewhere",
        "systemd xi_test --account",
        "supervisor xi_test --user xi_test --elsewhere",
        "compose xi_test",
        "k8s xi_test",
        "grafana xi_test",
    ],
)
def test_the_page_has_the_commands_that_are_printed(deploy: Deploy, project: Project, args: str) -> None:
    (project.directory / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    page = (ROOT / "docs/en/deployment.md").read_text()
    printed = [line.strip() for line in deploy(*args.split()).stdout.partition("Next:\n")[2].splitlines()]
    # One launch file stands for all of them.
    lines = [line for line in printed if not re.search(r"\b(ws|srv)_xi_test|/(ws|srv).yaml|xi-test-(ws|srv)", line)]
    assert len(lines) >= 4
    assert [line for line in lines if line not in page] == []
