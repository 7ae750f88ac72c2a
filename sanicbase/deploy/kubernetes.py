"""Manifests for Kubernetes: a deployment for each launch file, and what they need around them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from sanicbase.deploy.containers import ACCOUNT, in_image, migrations_missing, secrets_of
from sanicbase.deploy.site import DeployError, Launch, Site
from sanicbase.deploy.writing import Rendering, render
from sanicbase.i18n import gettext as _

__all__ = ["manifests"]

IMAGE = re.compile(r"[a-z0-9]+(?:[._:/@-]+[A-Za-z0-9]+)*")
LEAVE = 5  # seconds in which everybody learns that a pod gets no more requests, before it is told to stop
PROBE = 5  # seconds between two probes


def manifests(site: Site, to: Path, *, image: str, replicas: int) -> Rendering:
    """One file each for the settings, the migration and every launch file; the secret is made by a command."""
    if not IMAGE.fullmatch(image):
        raise DeployError(
            _("{image!r} is no name of an image: write one such as {service}:1.", image=image, service=site.service)
        )
    name, folder, secrets = site.service.replace("_", "-"), f"k8s/{site.service}", secrets_of(site.config)
    facts: dict[str, object] = {"site": site, "name": name, "image": image, "secrets": secrets, "account": ACCOUNT}
    facts["logs"] = in_image(site, site.config.log_dir.parent)
    files = {f"{folder}/{part}.yaml": render(f"k8s/{part}.j2", **facts) for part in ("settings", "migrate")}
    facts |= {"replicas": replicas, **_times(site)}
    for launch in site.launches:
        files[f"{folder}/{launch.kind}.yaml"] = render("k8s/launch.j2", **facts, launch=launch)
    return Rendering(files, _commands(name, to / folder, secrets, site.launches), migrations_missing(site))


def _times(site: Site) -> dict[str, int]:
    return {
        "leave": LEAVE,
        "grace": LEAVE + site.stop_seconds,
        "probe": PROBE,
        "start_tries": -(-site.start_seconds // PROBE),
        "live_tries": max(3, round(site.config.WORKER_TIMEOUT) // PROBE),
    }


def _commands(name: str, folder: Path, secrets: Sequence[str], launches: Sequence[Launch]) -> list[str]:
    literals = " ".join(f"--from-file={each}=secrets/{each}" for each in secrets)
    return [
        f"kubectl create secret generic {name} {literals}",
        f"kubectl apply --filename {folder}/settings.yaml",
        f"kubectl delete job {name}-migrate --ignore-not-found",
        f"kubectl apply --filename {folder}/migrate.yaml",
        f"kubectl wait --for=condition=complete job/{name}-migrate --timeout=600s",
        *(f"kubectl apply --filename {folder}/{launch.kind}.yaml" for launch in launches),
        *(f"kubectl rollout status deployment/{name}-{launch.kind}" for launch in launches),
    ]
