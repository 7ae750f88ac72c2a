"""The image and the compose file, without an engine: linted, checked against the schema, and their commands run."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from sanicbase.testing import ServiceProcess, wait_until
from tests.app.conftest import Project
from tests.deploy.conftest import Result
from xi_test.config import XiTestConfig

ROOT = Path(__file__).parents[2]
BESIDE = Path(sys.executable).parent  # where the programs of packages are

Deploy = Callable[..., Result]


@pytest.fixture
def packaged(project: Project) -> Project:
    """The project with its pyproject.toml, which names what an image needs."""
    (project.directory / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    return project


@pytest.fixture
def compose(deploy: Deploy, packaged: Project) -> Path:
    assert (result := deploy("compose", "xi_test")).returncode == 0, result.stderr
    return packaged.directory / "deploy" / "compose" / "xi_test.yaml"


@pytest.fixture
def dockerfile(compose: Path) -> Path:
    return compose.parents[1] / "docker" / "xi_test.Dockerfile"


def run(*command: str | Path) -> Result:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, check=False)


def read(compose: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(compose.read_text())
    return content


def instruction(dockerfile: Path, name: str) -> list[str]:
    return re.findall(rf"^{name} (.*)$", dockerfile.read_text().replace("\\\n", ""), re.MULTILINE)


def test_the_dockerfile_passes_the_linter(dockerfile: Path) -> None:
    linted = run(BESIDE / "hadolint", "--no-color", dockerfile)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_the_linter_reports_a_root_user(dockerfile: Path) -> None:
    dockerfile.write_text(dockerfile.read_text().replace("USER 10001:10001", "USER root"))
    assert "DL3002" in run(BESIDE / "hadolint", "--no-color", dockerfile).stdout


def test_requirements_txt_goes_first(deploy: Deploy, packaged: Project) -> None:
    (packaged.directory / "requirements.txt").write_text("sanicbase\n")
    deploy("docker", "xi_test")
    file = packaged.directory / "deploy" / "docker" / "xi_test.Dockerfile"
    assert "COPY requirements.txt ./" in file.read_text()
    assert run(BESIDE / "hadolint", "--no-color", file).returncode == 0


def test_the_image_holds_no_secret_and_runs_as_nobody(dockerfile: Path, compose: Path) -> None:
    text = dockerfile.read_text()
    assert not re.search(r"TOKEN|SECRET|PASSWORD|DB_URL|REDIS_URL", text)
    assert instruction(dockerfile, "USER") == ["10001:10001"]
    ignored = dockerfile.with_name("xi_test.Dockerfile.dockerignore").read_text().splitlines()
    assert {"**/.env", "**/.git", ".sanicbase", "**/secrets", "logs"} <= set(ignored)
    assert (compose.parent / ".gitignore").read_text() == "secrets/\n"


def test_packages_are_a_layer_before_the_code(dockerfile: Path) -> None:
    text = dockerfile.read_text()
    assert text.index("COPY pyproject.toml") < text.index("pip install") < text.index("COPY . .")
    assert text.index("COPY . .") < text.index("USER ")


def test_the_layer_of_packages_is_what_the_project_names(dockerfile: Path, packaged: Project) -> None:
    (command,) = re.findall(r'RUN python -c "(.*?)"', dockerfile.read_text())
    listed = subprocess.run(
        [sys.executable, "-c", command], cwd=packaged.directory, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = named["project"]["optional-dependencies"]
    assert named["dependency-groups"]["xi_test"] == [*extras["jwt"], *extras["passwords"]]
    assert listed == [*named["project"]["dependencies"], *named["dependency-groups"]["xi_test"]]


def test_the_health_check_distinguishes_a_running_service_from_a_dead_one(dockerfile: Path, project: Project) -> None:
    (command,) = (json.loads(args.partition(" CMD ")[2]) for args in instruction(dockerfile, "HEALTHCHECK"))
    assert command[0] == "python"
    with project.service() as service:
        service.wait_ready()
        check = ["/usr/bin/env", f"HEALTH_PORT={service.port}", "http_proxy=http://127.0.0.1:1", sys.executable]
        assert run(*check, *command[1:]).returncode == 0
        service.terminate()
        assert run(*check, *command[1:]).returncode == 1


def test_the_command_is_the_service_itself_which_ends_on_the_signal(dockerfile: Path, project: Project) -> None:
    (command,) = map(json.loads, instruction(dockerfile, "CMD"))
    assert command == ["python", "http_xi_test.py"]
    assert instruction(dockerfile, "STOPSIGNAL") == ["SIGTERM"]
    with ServiceProcess(
        project.directory / command[1], cwd=project.directory, command=[sys.executable, *command[1:]]
    ) as service:
        service.wait_ready()
        assert service.terminate() == 0


def test_the_compose_file_fits_its_schema(compose: Path) -> None:
    schema = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec")
    assert (result := run(*schema, compose)).returncode == 0, result.stdout
    compose.write_text(compose.read_text().replace("healthcheck:", "healthchek:"))
    assert run(*schema, compose).returncode == 1


def test_compose_starts_in_order_and_stops_in_time(compose: Path) -> None:
    services = read(compose)["services"]
    assert set(services) == {"http", "ws", "srv", "migrate", "postgres", "valkey"}
    for kind in ("http", "ws", "srv"):
        assert {name: dependency["condition"] for name, dependency in services[kind]["depends_on"].items()} == {
            "migrate": "service_completed_successfully",
            "postgres": "service_healthy",
            "valkey": "service_healthy",
        }
        assert services[kind]["stop_grace_period"] == "25s"
        assert (services[kind]["init"], services[kind]["read_only"]) == (True, True)
    assert all("test" in services[store]["healthcheck"] for store in ("postgres", "valkey"))
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    context = (compose.parent / services["http"]["build"]["context"]).resolve()
    assert (context / services["http"]["build"]["dockerfile"]).is_file()


def test_secrets_are_files_and_settings_exist(compose: Path) -> None:
    content = read(compose)
    for service in ("http", "ws", "srv", "migrate"):
        settings = dict(content["services"][service]["environment"])
        files = {name: value for name, value in settings.items() if name.endswith("_FILE")}
        assert set(files) == {f"XI_TEST_{name}_FILE" for name in ("DB_URL", "REDIS_URL", "ADMIN_TOKEN", "JWT_SECRET")}
        assert {Path(path).name for path in files.values()} == set(content["services"][service]["secrets"])
        known = {f"XI_TEST_{field}" for field in XiTestConfig.model_fields}
        assert {name.removesuffix("_FILE") for name in settings} - known == ({"HEALTH_PORT"} & set(settings))
    assert all(str(secret["file"]).startswith("secrets/") for secret in content["secrets"].values())


@pytest.mark.long
def test_the_committed_migrations_serve_in_prod_by_compose_s_own_words(
    compose: Path, packaged: Project, postgres_url: str, redis_url: str
) -> None:
    """What compose does, by hand: the secrets in files, the migration, then the service."""
    shutil.copytree(ROOT / "migrations", packaged.directory / "migrations")
    folder = packaged.directory / "run_secrets"
    folder.mkdir()
    values = {"db_url": postgres_url, "redis_url": redis_url, "admin_token": secrets.token_urlsafe(24)}
    values["jwt_secret"] = secrets.token_hex(24)
    for name, value in values.items():
        (folder / f"xi_test_{name}").write_text(value + "\n")
    services = read(compose)["services"]
    env = {
        name: str(value).replace("/run/secrets", str(folder)) for name, value in services["http"]["environment"].items()
    }
    migrate = " ".join(services["migrate"]["command"])
    assert migrate == "sanicGuider migrate up xi_test"
    with packaged.service(env=env) as service:
        assert service.wait(30) == 1
        assert "aerich upgrade" in service.output(), "unmigrated, prod refuses and names the command"
    assert (migrated := inside(packaged, migrate, env)).returncode == 0, migrated.stdout + migrated.stderr
    assert "database.migrations" not in inside(packaged, "sanicGuider doctor xi_test", env).stdout
    with packaged.service(env=env) as service:
        service.wait_ready(path="/readyz")
        assert service.client.get("/readyz").json()["status"] == "ready"
        assert "(prod" in service.output()
        assert values["admin_token"] not in service.output()
        wait_until(lambda: service.client.get("/xi_test/articles").status_code == 200, what="an answer")


def inside(project: Project, command: str, env: dict[str, str]) -> Result:
    program, *args = command.split()
    return subprocess.run(
        [BESIDE / program, *args],
        cwd=project.directory,
        env={"PATH": str(BESIDE), "AERICH_NO_TORTOISE_V1_WARNING": "1", "PYTHONPATH": str(project.directory), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
