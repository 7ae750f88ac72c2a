"""The manifests: checked against the schemas of Kubernetes, and for what a schema does not know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml  # type: ignore[import-untyped]

from sanicbase.server.serve import CLOSE_TIMEOUT
from tests.app.conftest import Project
from tests.deploy.conftest import Result
from xi_test.config import XiTestConfig

VERSIONS = ("1.30", "1.34", "1.37")

Deploy = Callable[..., Result]
Manifest = dict[str, Any]


@pytest.fixture
def manifests(deploy: Deploy, project: Project) -> list[Manifest]:
    result = deploy("k8s", "xi_test", "--image", "xi_test:1", "--replicas", "3")
    assert result.returncode == 0, result.stderr
    return read(project.directory / "deploy" / "k8s" / "xi_test")


def read(folder: Path) -> list[Manifest]:
    return [manifest for file in sorted(folder.iterdir()) for manifest in yaml.safe_load_all(file.read_text())]


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] == kind}


def pod(manifest: Manifest) -> Manifest:
    content: Manifest = manifest["spec"]["template"]["spec"]
    return content


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_fits_its_schema(manifests: list[Manifest], version: str) -> None:
    for manifest in manifests:
        kubernetes_validate.validate(manifest, version, strict=True)
    assert {"Deployment", "Service", "Job", "PodDisruptionBudget"} <= {manifest["kind"] for manifest in manifests}


def test_the_schema_rejects_an_unknown_field(manifests: list[Manifest]) -> None:
    deployment = of_kind(manifests, "Deployment")["xi-test-http"]
    pod(deployment)["containers"][0]["readinessProb"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[-1], strict=True)


def test_there_is_everything_that_a_service_needs(manifests: list[Manifest]) -> None:
    names = ["xi-test-http", "xi-test-srv", "xi-test-ws"]
    assert sorted(of_kind(manifests, "Deployment")) == names
    assert sorted(of_kind(manifests, "PodDisruptionBudget")) == names
    assert sorted(of_kind(manifests, "Service")) == ["xi-test-http", "xi-test-ws"]
    assert sorted(of_kind(manifests, "Job")) == ["xi-test-migrate"]
    command = pod(of_kind(manifests, "Job")["xi-test-migrate"])["containers"][0]["command"]
    assert command == ["sanicGuider", "migrate", "up", "xi_test"]


@pytest.mark.parametrize("name", ["xi-test-http", "xi-test-ws"])
def test_a_rolling_update_has_a_new_pod_ready_before_an_old_one_goes(manifests: list[Manifest], name: str) -> None:
    deployment = of_kind(manifests, "Deployment")[name]
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    (container,) = pod(deployment)["containers"]
    paths = {probe: container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/livez", "readiness": "/readyz", "liveness": "/livez"}
    leave = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    drain = XiTestConfig().GRACEFUL_SHUTDOWN_TIMEOUT + CLOSE_TIMEOUT
    assert pod(deployment)["terminationGracePeriodSeconds"] > leave + drain
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= XiTestConfig().START_TIMEOUT


def test_selectors_find_their_pods(manifests: list[Manifest]) -> None:
    deployments = of_kind(manifests, "Deployment")
    for name, deployment in deployments.items():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"] == labels
        assert of_kind(manifests, "PodDisruptionBudget")[name]["spec"]["selector"]["matchLabels"] == labels
        if service := of_kind(manifests, "Service").get(name):
            assert service["spec"]["selector"] == labels
            (port,) = pod(deployment)["containers"][0]["ports"]
            assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    assert len({str(deployment["spec"]["selector"]) for deployment in deployments.values()}) == len(deployments)


def test_secrets_are_mounted_files(manifests: list[Manifest]) -> None:
    settings = of_kind(manifests, "ConfigMap")["xi-test"]["data"]
    known = {f"XI_TEST_{field}" for field in XiTestConfig.model_fields}
    assert {name.removesuffix("_FILE") for name in settings} <= known
    files = {Path(value) for name, value in settings.items() if name.endswith("_FILE")}
    assert not of_kind(manifests, "Secret"), "no secret lies among the manifests"
    for manifest in (*of_kind(manifests, "Deployment").values(), *of_kind(manifests, "Job").values()):
        (container,) = pod(manifest)["containers"]
        mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in pod(manifest)["volumes"]}
        assert {file.parent for file in files} == {Path(mounts["secrets"]["mountPath"])}
        assert volumes["secrets"]["secret"] == {"secretName": "xi-test", "defaultMode": 0o440}
        assert not [variable for variable in container.get("env", []) if "value" in variable]


def test_nobody_is_root_and_nothing_is_written_beside_the_volumes(manifests: list[Manifest]) -> None:
    for manifest in (*of_kind(manifests, "Deployment").values(), *of_kind(manifests, "Job").values()):
        assert pod(manifest)["securityContext"]["runAsNonRoot"] is True
        assert pod(manifest)["automountServiceAccountToken"] is False
        security = pod(manifest)["containers"][0]["securityContext"]
        assert (security["readOnlyRootFilesystem"], security["allowPrivilegeEscalation"]) == (True, False)
        assert security["capabilities"] == {"drop": ["ALL"]}


def test_the_secret_is_made_by_the_command_that_is_printed(deploy: Deploy) -> None:
    result = deploy("k8s", "xi_test")
    line = next(line for line in result.stdout.splitlines() if "create secret" in line)
    names = ("DB_URL", "REDIS_URL", "ADMIN_TOKEN", "JWT_SECRET")
    assert line.split()[5:] == [f"--from-file={name}=secrets/{name}" for name in names]
