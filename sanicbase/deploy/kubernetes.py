"""Manifests for Kubernetes: a Deployment for each launch file, and the resources that it needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from sanicbase.deploy.containers import ACCOUNT, in_image, missing_migrations, secrets_of
from sanicbase.deploy.deployment import DeployError, Deployment, Launch
from sanicbase.deploy.rendering import Rendering, render
from sanicbase.i18n import gettext as _

__all__ = ["manifests"]

IMAGE = re.compile(r"[a-z0-9]+(?:[._:/@-]+[A-Za-z0-9]+)*")
PRE_STOP = 5  # seconds in which all nodes learn that a pod gets no more requests, before it is stopped
PROBE_PERIOD = 5  # seconds


def manifests(deployment: Deployment, to: Path, *, image: str, replicas: int) -> Rendering:
    """A file each for the settings, the migration and every launch file; a command creates the secret."""
    if not IMAGE.fullmatch(image):
        raise DeployError(
            _(
                "{image!r} is not an image name. Write one such as {service}:1.",
                image=image,
                service=deployment.service,
            )
        )
    name, folder, secrets = (
        deployment.service.replace("_", "-"),
        f"k8s/{deployment.service}",
        secrets_of(deployment.config),
    )
    facts: dict[str, object] = {
        "deployment": deployment,
        "name": name,
        "image": image,
        "secrets": secrets,
        "account": ACCOUNT,
    }
    facts["logs"] = in_image(deployment, deployment.config.log_dir.parent)
    files = {f"{folder}/{part}.yaml": render(f"k8s/{part}.j2", **facts) for part in ("settings", "migrate")}
    facts |= {"replicas": replicas, **_times(deployment)}
    for launch in deployment.launches:
        files[f"{folder}/{launch.kind}.yaml"] = render("k8s/launch.j2", **facts, launch=launch)
    return Rendering(files, _commands(name, to / folder, secrets, deployment.launches), missing_migrations(deployment))


def _times(deployment: Deployment) -> dict[str, int]:
    return {
        "leave": PRE_STOP,
        "grace": PRE_STOP + deployment.stop_seconds,
        "probe": PROBE_PERIOD,
        "start_tries": -(-deployment.start_seconds // PROBE_PERIOD),
        "live_tries": max(3, round(deployment.config.WORKER_TIMEOUT) // PROBE_PERIOD),
    }


def _commands(name: str, folder: Path, secrets: Sequence[str], launches: Sequence[Launch]) -> list[str]:
    literals = " ".join(f"--from-file={secret}=secrets/{secret}" for secret in secrets)
    return [
        f"kubectl create secret generic {name} {literals}",
        f"kubectl apply --filename {folder}/settings.yaml",
        f"kubectl delete job {name}-migrate --ignore-not-found",
        f"kubectl apply --filename {folder}/migrate.yaml",
        f"kubectl wait --for=condition=complete job/{name}-migrate --timeout=600s",
        *(f"kubectl apply --filename {folder}/{launch.kind}.yaml" for launch in launches),
        *(f"kubectl rollout status deployment/{name}-{launch.kind}" for launch in launches),
    ]
