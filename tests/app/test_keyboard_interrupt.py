"""A Ctrl-C that Python drops while it imports ends the service all the same."""

from __future__ import annotations

import signal

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


@pytest.mark.parametrize("name", ["http_xi_test", "srv_xi_test"])
def test_a_service_does_not_start_after_an_interrupt_that_was_dropped(project: Project, name: str) -> None:
    launch = (project.directory / f"{name}.py").read_text(encoding="utf-8")
    (project.directory / f"{name}.py").write_text(DROPPING + launch, encoding="utf-8")
    with project.service(name) as process:
        assert process.wait() in (-signal.SIGINT, 1, 130)
        assert "is serving" not in process.output()
        assert not process.survivors()
