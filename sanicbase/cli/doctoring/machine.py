"""What a service needs of its machine: Python, packages, ports, a folder for its logs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from sanicbase.cli.doctoring.finding import Finding, of_error
from sanicbase.cli.project import Project, Service
from sanicbase.config import Config
from sanicbase.config.sources import dotenv
from sanicbase.errors import ResourceError
from sanicbase.private import fault_of
from sanicbase.process.descriptors import descriptor_limit, needed_descriptors
from sanicbase.server.holder import is_held_by
from sanicbase.server.listening import Kind, listening
from sanicbase.terminal import say

__all__ = ["look_at_descriptors", "look_at_logs", "look_at_packages", "look_at_ports", "look_at_python"]

OLDEST, NEWEST = (3, 11), (3, 14)  # docs/en/versions.md says which of them are tested


def look_at_python(running: tuple[int, int] = sys.version_info[:2]) -> Iterator[Finding]:
    """Whether this Python is one that sanicbase is expected to work with."""
    shown, oldest, newest = (".".join(map(str, version)) for version in (running, OLDEST, NEWEST))
    remedy = say(f"Use Python {oldest} to {newest}.", f"请使用 Python {oldest} 至 {newest}。")
    if running < OLDEST:
        refusal = say(f"Python {shown} is not supported.", f"不支持 Python {shown}。")
        yield Finding("python.version", "error", refusal, remedy)
    elif running > NEWEST:
        warning = say(
            f"Python {shown} is newer than this release of sanicbase, which nobody has run on it.",
            f"Python {shown} 比这个版本的 sanicbase 更新，还没有人在上面运行过它。",
        )
        yield Finding("python.version", "warning", warning, remedy)


def look_at_descriptors(config: Config) -> Iterator[Finding]:
    """Whether a process that is started here may open what the service needs."""
    limit, needed = descriptor_limit(), needed_descriptors(config.WORKERS)
    if limit is not None and limit < needed:
        yield Finding(
            "machine.descriptors",
            "error",
            say(
                f"A process may have {limit} open files and connections here, and needs {needed} at least.",
                f"这里的进程最多只能打开 {limit} 个文件和连接，至少需要 {needed} 个。",
            ),
            say(
                "Raise it: ulimit -n 4096 in the shell, or LimitNOFILE=4096 in the unit of systemd.",
                "请调高：在 shell 中执行 ulimit -n 4096，或在 systemd 单元中写 LimitNOFILE=4096。",
            ),
        )


def look_at_packages(wanted: Iterable[str] | None = None) -> Iterator[Finding]:
    """Whether what sanicbase needs is installed, in a version that fits."""
    for text in (requires("sanicbase") or []) if wanted is None else wanted:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            found = ""
        if not found or not requirement.specifier.contains(found, prereleases=True):
            shown = found or say("missing", "未安装")
            yield Finding(
                "package.version",
                "error",
                say(
                    f"{requirement.name} is {shown}; needed is {requirement.specifier}.",
                    f"{requirement.name}：{shown}，需要 {requirement.specifier}。",
                ),
                f'pip install "{requirement.name}{requirement.specifier}"',
            )


def look_at_ports(config: Config, service: Service, project: Project) -> Iterator[Finding]:
    """Whether the ports are free, or the service's own, and no other service of the project has them."""
    kinds: list[Kind] = [kind for kind in service.kinds if kind != "srv"]
    for kind in kinds:
        place = listening(config, kind)
        try:
            place.open().close()
        except ResourceError as exc:
            if not is_held_by(place.port, f"{kind}_{service.name}", project.folder):
                yield from of_error("port.taken", exc, "warning")
        for other in project.services():
            if other.name != service.name and place.port in _ports(other, project):
                yield Finding(
                    "port.shared",
                    "error",
                    say(f"{other.name} has port {place.port} as well.", f"{other.name} 也用端口 {place.port}。"),
                    say(f"Set {place.setting} to another one.", f"请把 {place.setting} 设为其他端口。"),
                )


def look_at_logs(config: Config) -> Iterator[Finding]:
    """Whether the service can write its logs, and nobody else can have them elsewhere."""
    folder = config.log_dir
    fault = fault_of(folder.lstat()) if folder.is_symlink() or folder.exists() else None
    if fault and (folder.is_symlink() or os.geteuid() != 0):  # root looks a service of another account over
        yield Finding(
            "logs.foreign",
            "error",
            say(
                f"The log folder {folder} {fault}: the service refuses it.",
                f"服务拒绝使用日志目录 {folder}（{fault}）。",
            ),
            say(
                f"Correct that as the account of the service, or set {config.env_prefix()}LOG_DIR.",
                f"请用服务的账号改正，或设置 {config.env_prefix()}LOG_DIR。",
            ),
        )
        return
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield Finding(
            "logs.unwritable",
            "error",
            say(f"No logs can be written to {folder}.", f"无法把日志写入 {folder}。"),
            say(
                f"Let this account write to {there}, or set {config.env_prefix()}LOG_DIR.",
                f"请让当前账号能写 {there}，或设置 {config.env_prefix()}LOG_DIR。",
            ),
        )


def _ports(service: Service, project: Project) -> set[int]:
    """The ports of another service, as its settings here have them: nothing of it is imported."""
    given = dotenv(project.folder) | os.environ
    names = {kind: f"{service.name.upper()}_{kind.upper()}_PORT" for kind in service.ports}
    ports = {given.get(names[kind]) or str(port) for kind, port in service.ports.items()}
    return {int(port) for port in ports if port.isdigit()}
