"""The memory that a service may use: of the machine, or of a container, in both versions of control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from sanicbase.process.memory import memory_usage

MIB = 1024 * 1024
MEMINFO = "MemTotal:       4096 kB\nMemFree:         100 kB\nMemAvailable:   1024 kB\n"


def files(root: Path, texts: dict[str, str]) -> Path:
    for name, text in {"proc/meminfo": MEMINFO, **texts}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_without_a_limit_it_is_that_of_the_machine(tmp_path: Path) -> None:
    root = files(tmp_path, {"proc/self/cgroup": "0::/user.slice\n"})
    assert memory_usage(root) == (3 * MIB, 4 * MIB)


@pytest.mark.parametrize("place", ["/", "/service.slice/http"])
def test_the_limit_of_a_container_or_of_a_slice_around_it(tmp_path: Path, place: str) -> None:
    folder = tmp_path / "sys/fs/cgroup"
    for at, limit in ((folder, "max" if place != "/" else 2 * MIB), (folder / "service.slice", 2 * MIB)):
        texts = {"memory.max": limit, "memory.current": MIB, "memory.stat": f"anon 5\ninactive_file {MIB // 4}\n"}
        files(tmp_path, {f"{at.relative_to(tmp_path)}/{name}": str(text) for name, text in texts.items()})
    files(tmp_path, {"proc/self/cgroup": f"0::{place}\n"})
    assert memory_usage(tmp_path) == (MIB * 3 // 4, 2 * MIB)


def test_the_first_version_of_control_groups(tmp_path: Path) -> None:
    folder = "sys/fs/cgroup/memory/docker/1"
    files(tmp_path, {
        "proc/self/cgroup": "4:cpu,cpuacct:/docker/1\n3:memory:/docker/1\n0::/\n",
        f"{folder}/memory.limit_in_bytes": str(2 * MIB),
        f"{folder}/memory.usage_in_bytes": str(MIB),
        f"{folder}/memory.stat": f"total_inactive_file {MIB // 2}\n",
    })  # fmt: skip
    assert memory_usage(tmp_path) == (MIB // 2, 2 * MIB)


def test_a_system_without_proc_has_none(tmp_path: Path) -> None:
    assert memory_usage(tmp_path) is None


def test_this_machine_has_memory() -> None:
    usage = memory_usage()
    assert usage is not None
    assert 0 < usage.used < usage.limit
