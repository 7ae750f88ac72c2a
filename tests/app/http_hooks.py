"""A launch file with the hooks of Sanic's user guide. What happens is printed, `/facts` answers the rest."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import time
from asyncio import AbstractEventLoop
from typing import Any

from sanic import Blueprint, Request, Sanic, text
from sanic.exceptions import SanicException
from sanic.response import HTTPResponse, json

from sanicbase import create_app, serve
from sanicbase.process.role import is_main_process
from xi_test.config import config

hooks = Blueprint("hooks")


def note(event: str) -> None:
    """One line of the record: the process and what happened in it."""
    sys.stdout.write(f"HOOK {'main' if is_main_process() else 'worker'} {event}\n")
    sys.stdout.flush()


async def ran(where: str) -> None:
    note(f"task of {where}")


async def lasting() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        note("task that was pending ends")


async def short() -> str:
    await asyncio.sleep(1.0)  # Sanic's manager is deaf to a stop until it has seen its workers ready
    return "done"


def beside(greeting: str) -> None:
    """A managed process."""
    over: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: over.append(number))
    note(f"managed {greeting} {os.environ['SANIC_WORKER_NAME']}")
    while not over:
        time.sleep(0.05)


@hooks.get("/facts")
async def facts(request: Request) -> HTTPResponse:
    app = request.app
    app.add_task(ran("handler"))
    task = app.add_task(short(), name="short")
    assert app.get_task("short", raise_exception=True) is task
    app.add_task(lasting(), name="cancelled")
    app.add_task(lasting(), name="pending")
    await asyncio.sleep(0)
    await app.cancel_task("cancelled")
    app.purge_tasks()
    with app.shared_ctx.count.get_lock():
        app.shared_ctx.count.value += 1
    return json(
        {
            "app.loop": app.loop is asyncio.get_running_loop(),
            "the loop's class": type(app.loop).__name__,
            "tasks": sorted(task.get_name() for task in app.tasks),
            "a named task": await app.get_task("short", raise_exception=True),
            "a missing task": app.get_task("missing", raise_exception=False),
            "app.m": [app.m.name, app.m.pid == os.getpid(), app.m is app.multiplexer],
            "the process": multiprocessing.current_process().name,
            "app.state": [str(app.state.stage), app.state.is_started, app.state.is_running, app.state.is_stopping],
            "app.state of a primary app": [
                app.state.primary,
                app.state.asgi,
                app.state.mode,
                len(app.state.server_info),
            ],
            "app.serve_location": app.serve_location == f"http://127.0.0.1:{request.server_port}",
            "app.shared_ctx": app.shared_ctx.queue.get(timeout=5),
            "app.manager": refusal(app, "manager"),
            "app.inspector": refusal(app, "inspector"),
            "Sanic.get_app": Sanic.get_app(app.name) is app,
        }
    )


def refusal(app: Sanic[Any, Any], name: str) -> str:
    try:
        getattr(app, name)
    except SanicException as exc:
        return str(exc)
    return "none"


@hooks.get("/signals")
async def signals(request: Request) -> HTTPResponse:
    app = request.app
    waiting = asyncio.create_task(app.event("shop.order.placed", timeout=5))
    await asyncio.sleep(0)
    await app.dispatch("shop.order.placed", context={"order": 7})
    await waiting
    app.add_task(failing())
    return text("ok")


async def failing() -> None:
    raise LookupError("of a task")


@hooks.get("/fails")
async def fails(request: Request) -> HTTPResponse:
    raise LookupError("of a handler")


@hooks.get("/count")
async def counted(request: Request) -> HTTPResponse:
    with request.app.shared_ctx.count.get_lock():
        request.app.shared_ctx.count.value += 1
    return json({"count": request.app.shared_ctx.count.value, "pid": os.getpid()})


@hooks.get("/restart")
async def restart(request: Request) -> HTTPResponse:
    request.app.m.restart()
    return text("ok")


@hooks.get("/stop")
async def stop(request: Request) -> HTTPResponse:
    request.app.stop()
    return text("ok")


@hooks.main_process_start
async def blueprint_starts(app: Sanic[Any, Any]) -> None:
    note("main_process_start of a blueprint")


app = create_app(config, hooks)
app.add_task(ran("module"))


@app.main_process_start
async def share(app: Sanic[Any, Any]) -> None:
    app.shared_ctx.count = multiprocessing.Value("i", 0)
    app.shared_ctx.queue = multiprocessing.Queue()
    app.shared_ctx.queue.put("from the main process")
    note(f"main_process_start {app.state.stage} {len(app.state.server_info)}")


@app.main_process_start
def with_the_loop(app: Sanic[Any, Any], loop: AbstractEventLoop) -> None:
    note(f"main_process_start with {type(loop).__name__ != 'NoneType'}")


@app.main_process_ready
async def manage(app: Sanic[Any, Any], _: AbstractEventLoop) -> None:
    app.manager.manage("Beside", beside, {"greeting": "hello"}, transient=True)
    note("main_process_ready")


@app.before_reload_trigger
async def before_reload(app: Sanic[Any, Any]) -> None:
    note("before_reload_trigger")


@app.after_reload_trigger
async def after_reload(app: Sanic[Any, Any], **values: Any) -> None:
    note(f"after_reload_trigger {values}")


@app.main_process_stop
async def count(app: Sanic[Any, Any]) -> None:
    note(f"main_process_stop {app.shared_ctx.count.value}")


@app.main_process_stop
def last(app: Sanic[Any, Any]) -> None:
    note("main_process_stop, the second")


for number in (1, 2):
    for event in ("before_server_start", "after_server_start", "before_server_stop", "after_server_stop"):

        def listen(app: Sanic[Any, Any], what: str = f"{event} {number}") -> None:
            note(what)

        app.register_listener(listen, event)


@app.listener("before_server_start", priority=10)
async def first(app: Sanic[Any, Any]) -> None:
    app.add_task(ran("before_server_start"))
    note("before_server_start by priority")


@app.after_server_start
async def with_a_task(app: Sanic[Any, Any]) -> None:
    app.add_task(ran("after_server_start"), name="after")


@app.signal("server.init.after")
async def initialised(**context: Any) -> None:
    note(f"server.init.after {sorted(context)}")


@app.signal("server.shutdown.before")
async def shutting_down(**context: Any) -> None:
    note(f"server.shutdown.before {sorted(context)}")


@app.signal("server.exception.report")
async def reported(exception: Exception, **context: Any) -> None:
    note(f"report {exception!r}")


@app.signal("shop.order.placed")
async def placed(order: int) -> None:
    note(f"order {order}")


if __name__ == "__main__":
    serve(app)
