"""A Ctrl-C that Python drops while it imports ends the service all the same."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.app.conftest import Project

# What a callback of the import system raises is dropped by Python; here one raises at a known moment.
DROPPING = """
import sanicbase.process.keyboard_interrupt
import os, signal, weakref

class Lock: ...

lock = Lock()
callback = weakref.ref(lock, lambda _: os.kill(os.getpid(), signal.SIGINT))
del lock
"""


# Python empties the modules at its end, this one after those that it uses.
LATE = """
import sanicbase.process.keyboard_interrupt as module

class Late:
    def __del__(self):
        raise LookupError("at the end")

module.late = Late()
"""


def test_other_exceptions_are_shown_until_the_end_of_the_interpreter() -> None:
    result = subprocess.run([sys.executable, "-c", LATE], stderr=subprocess.PIPE, text=True, check=True)
    assert result.stderr.startswith("Exception ignored in: ")
    assert result.stderr.endswith("LookupError: at the end\n")


@pytest.mark.parametrize("name", ["http_xi_test", "srv_xi_test"])
def test_a_service_does_not_start_after_an_interrupt_that_was_dropped(project: Project, name: str) -> None:
    launch = (project.directory / f"{name}.py").read_text(encoding="utf-8")
    (project.directory / f"{name}.py").write_text(DROPPING + launch, encoding="utf-8")
    with project.service(name, cold=True) as process:
        assert process.wait() in (-signal.SIGINT, 1, 130)
        assert "is serving" not in process.output()
        assert not process.survivors()
