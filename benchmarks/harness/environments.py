"""One virtual environment for each set of pinned requirements: `python -m benchmarks.harness.environments`."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.harness.paths import ENVIRONMENTS, REQUIREMENTS, ROOT


def python_of(environment: str) -> str:
    """The interpreter of an environment."""
    return program_of(environment, "python")


def program_of(environment: str, name: str) -> str:
    """A program that is installed in an environment."""
    return str(ENVIRONMENTS / environment / "bin" / name)


def prepare(environment: str) -> None:
    """Make the environment, unless it is there with the requirements as they are now."""
    requirements = REQUIREMENTS / f"{environment}.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = ENVIRONMENTS / environment / "requirements.sha256"
    if stamp.is_file() and stamp.read_text() == digest:
        return
    print(f"Making the environment {environment} …", file=sys.stderr)
    venv.create(stamp.parent, clear=True, with_pip=True)
    command = [python_of(environment), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*command, "--requirement", str(requirements)], cwd=ROOT, check=True)
    stamp.write_text(digest)


def versions(environment: str) -> dict[str, str]:
    """What is installed, by name."""
    command = [python_of(environment), "-m", "pip", "list", "--format", "freeze", "--disable-pip-version-check"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(line.split("==", 1) for line in listed.splitlines() if "==" in line)


def main() -> None:
    """Make all of them."""
    for requirements in sorted(Path(REQUIREMENTS).glob("*.txt")):
        prepare(requirements.stem)


if __name__ == "__main__":
    main()
