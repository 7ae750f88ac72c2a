"""A process of multiprocessing that a template forks: it receives its work as a spawned one does."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import popen_fork, process, reduction, resource_tracker, spawn, util
from multiprocessing.context import set_spawning_popen
from typing import Any

from sanicbase.server.template import Template

__all__ = ["ForkedProcess", "run_process"]

MAIN_MODULE = ("init_main_from_path", "init_main_from_name")  # what to import, which the template has done

_tracker: Any = resource_tracker._resource_tracker  # noqa: SLF001

_inherited: list[int] = []
"""The descriptors of this process that its unpickled arguments refer to."""


class ForkedProcess(process.BaseProcess):
    """A process whose start raises TemplateFailed when the template does not fork."""

    _start_method = "spawn"  # for processes that it starts itself

    def __init__(self, template: Template, **options: Any) -> None:
        super().__init__(**options)
        self._template = template
        self._environment = dict(os.environ)  # a listener may have changed it since the template was forked

    def _Popen(self, process_obj: ForkedProcess) -> _Popen:  # noqa: N802  (BaseProcess.start calls it)
        return _Popen(process_obj, self._template)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_template"}

    def run(self) -> None:
        """Called in the process itself."""
        for name in os.environ.keys() - self._environment.keys():
            del os.environ[name]
        os.environ.update(self._environment.items() - os.environ.items())  # what is not written stays shared
        super().run()


class _Descriptor:
    """A descriptor in the pickled arguments, by its position among those that are sent."""

    def __init__(self, position: int) -> None:
        self._position = position

    def detach(self) -> int:
        """Called by multiprocessing where the arguments are unpickled."""
        return _inherited[self._position]


class _Popen(popen_fork.Popen):
    """As in multiprocessing's forkserver, except that the main process is the parent and waits for the end itself."""

    method = "spawn"
    DupFd = _Descriptor

    def __init__(self, process_obj: ForkedProcess, template: Template) -> None:
        self._template = template
        self._descriptors: list[int] = []
        super().__init__(process_obj)

    def duplicate_for_child(self, fd: int) -> int:
        """Called by multiprocessing while it pickles."""
        self._descriptors.append(fd)
        return len(self._descriptors) - 1

    def _launch(self, process_obj: process.BaseProcess) -> None:
        work = self._pickled(process_obj)
        reading, writing = os.pipe()  # the worker notices the end of its parent by this pipe, too
        try:
            # A resource tracker is shared, as with spawned processes: it unlinks what is left when all have ended. A
            # service that has put nothing into `shared_ctx` has none.
            tracker = _tracker._fd  # noqa: SLF001
            self.pid = self._template.fork([reading, reading if tracker is None else tracker, *self._descriptors])
            self.sentinel = os.pidfd_open(self.pid)
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        self.finalizer = util.Finalize(self, _close, (writing, self.sentinel))
        with suppress(BrokenPipeError), os.fdopen(writing, "wb", closefd=False) as pipe:  # it may have been killed
            pipe.write(work)

    def _pickled(self, process_obj: process.BaseProcess) -> bytes:
        preparation = spawn.get_preparation_data(process_obj.name)
        data = io.BytesIO()
        set_spawning_popen(self)  # type: ignore[arg-type]  # it asks for any Popen with a DupFd
        try:
            reduction.dump({key: preparation[key] for key in preparation if key not in MAIN_MODULE}, data)
            reduction.dump(process_obj, data)
        finally:
            set_spawning_popen(None)
        return data.getvalue()


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def run_process(descriptors: Sequence[int]) -> int:
    """Run a ForkedProcess in its own process; returns its exit status."""
    reading, tracker, *_inherited[:] = descriptors
    if not os.path.sameopenfile(reading, tracker):
        _tracker._fd = tracker  # noqa: SLF001  (as spawn_main does)
    try:
        return spawn._main(reading, os.dup(reading))  # noqa: SLF001
    except EOFError:  # the main process was killed before it had written the work
        return 1
