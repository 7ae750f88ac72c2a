"""A real service manager: systemd's, for one account, in a /run of its own.

It runs in a mount namespace, for it wants to see a machine that systemd has booted. Needs root.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sanicbase.testing.launcher import launch, private_directory
from sanicbase.testing.polling import wait_until

CONTROL_GROUPS = [Path("/sys/fs/cgroup") / name for name in ("", "systemd", "unified")]
RUNTIME = "/run/manager"  # not below /run/user, which ProtectHome closes to the services
# What lies below /run is what systemd makes when it boots: /run/systemd/inaccessible covers what is to be hidden.
# Two managers in one control group would take each other's services for left-over processes, and kill them.
BOOTED = """
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system /run/systemd/inaccessible /run/user {runtime} || exit 77
mkdir -m 000 /run/systemd/inaccessible/dir && chmod 700 {runtime} || exit 77
for root in {roots}; do
    [ -w $root/cgroup.procs ] && mkdir -p $root/{group} && echo $$ > $root/{group}/cgroup.procs
done
exec {systemd} --user --log-target=console --log-level=info
"""


class UserManager:
    """systemd and its `systemctl --user`; `units` is ~/.config/systemd/user."""

    def __init__(self, home: Path, process: subprocess.Popen[bytes], log: Path) -> None:
        self.units = home / ".config" / "systemd" / "user"
        self._process = process
        self._env = environment(home)
        self._log = log

    def systemctl(self, *args: str) -> subprocess.CompletedProcess[str]:
        command = ["nsenter", "--mount", "--target", str(self._process.pid), "systemctl", "--user", *args]
        return subprocess.run(command, env=self._env, capture_output=True, text=True, timeout=90, check=False)

    def show(self, unit: str, name: str) -> str:
        """A property of a unit, such as ActiveState."""
        return self.systemctl("show", unit, "--property", name, "--value").stdout.strip()

    def journal(self) -> str:
        return self._log.read_text(errors="replace")

    def answers(self) -> bool:
        if self._process.poll() is not None:
            raise ChildProcessError(self.journal())
        return self.systemctl("is-system-running").stdout.strip() in ("running", "degraded", "starting")


def environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": RUNTIME, "LC_ALL": "C.UTF-8"}


@contextmanager
def user_manager(systemd: str) -> Iterator[UserManager]:
    """Yield a manager that answers; its units are stopped, and it ends, with the block."""
    with private_directory() as home:
        log = home / "log"
        roots = " ".join(map(str, CONTROL_GROUPS))
        script = BOOTED.format(systemd=systemd, roots=roots, group=home.name, runtime=RUNTIME)
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
        process = launch(command, directory=home, log=log, env=environment(home), death_signal=signal.SIGTERM)
        manager = UserManager(home, process, log)
        manager.units.mkdir(parents=True)
        try:
            wait_until(manager.answers, 20, what="an answer of systemd")
            yield manager
        finally:
            process.terminate()
            process.wait(60)
            remove_groups(home.name)


def remove_groups(name: str) -> None:
    """What is left of the manager's control groups, which are empty now."""
    for root in CONTROL_GROUPS:
        for group in sorted((root / name).rglob("*/"), reverse=True) if (root / name).is_dir() else ():
            with suppress(OSError):
                group.rmdir()
        with suppress(OSError):
            (root / name).rmdir()
