"""The process of a ProcessPool: it receives a job, calls its function, and answers, until the worker closes the socket
or dies."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from io import BufferedRWPair
from multiprocessing.spawn import prepare
from typing import Any

from sanicbase.jobs.declaration import imported_function
from sanicbase.jobs.payload import Payload
from sanicbase.jobs.process_pool import HEADER
from sanicbase.jobs.run import JobRun, set_current_job
from sanicbase.process.parent import die_with

__all__ = ["main"]

Message = dict[str, Any]


def main() -> None:
    """Serve the worker whose socket's descriptor and pid are on the command line."""
    descriptor, parent = map(int, sys.argv[1:])
    die_with(parent)
    os.set_inheritable(descriptor, False)
    with socket.socket(fileno=descriptor) as opened, opened.makefile("rwb") as stream:
        connection = _Connection(stream)
        start = connection.receive()
        if start is None:
            return
        logging.basicConfig(level=start["level"], handlers=[_Forwarding(connection)])
        _import(start["main"], start["modules"])
        connection.send({})
        while (request := connection.receive()) is not None:
            connection.send(_run(request))


def _import(main: Message, modules: Sequence[str]) -> None:
    """Import modules as the worker did. An exception is raised again by the run that needs the module."""
    sys.path[:] = main["sys_path"]
    for module in modules:
        with suppress(Exception):
            if module == "__main__":
                prepare(main)  # the launch file, under another name
            else:
                import_module(module)


class _Connection:
    def __init__(self, stream: BufferedRWPair) -> None:
        self._stream = stream
        self._lock = threading.Lock()  # threads of the function may log

    def receive(self) -> Message | None:
        """The next message; None at the end."""
        header = self._stream.read(HEADER)
        if len(header) < HEADER:
            return None
        message: Message = json.loads(self._stream.read(int.from_bytes(header, "big")))
        return message

    def send(self, message: Message) -> None:
        data = json.dumps(message).encode()
        with self._lock:
            self._stream.write(len(data).to_bytes(HEADER, "big") + data)
            self._stream.flush()


class _Forwarding(logging.Handler):
    """Sends records to the worker, whose log has the id of the job, redacts, and writes."""

    def __init__(self, connection: _Connection) -> None:
        super().__init__()
        self._connection = connection
        self._formatter = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        plain = (str, int, float, type(None))
        fields = {key: value for key, value in vars(record).items() if isinstance(value, plain)}
        if record.exc_info:
            fields["exc_text"] = self._formatter.formatException(record.exc_info)
        self._connection.send({"log": fields | {"msg": record.getMessage(), "args": None, "exc_info": None}})


def _run(request: Message) -> Message:
    try:
        function, payload = _declared(request["module"], request["function"], request["name"], request["keeps_result"])
        arguments = payload.unpack(request["arguments"].encode())
        with set_current_job(JobRun(request["id"], request["name"], request["attempt"])):
            result = function(**arguments)
        return {"result": payload.pack_result(result).decode() if request["keeps_result"] else ""}
    except BaseException as exc:
        return {"error": f"{type(exc).__name__}: {exc}", "trace": "".join(traceback.format_exception(exc))}


@cache
def _declared(module: str, name: str, job: str, keeps_result: bool) -> tuple[Callable[..., object], Payload]:
    function = imported_function(module, name)
    return function, Payload(function, job, keeps_result=keeps_result)
