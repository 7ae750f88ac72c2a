"""create_app: a plain Sanic app that opens the service's resources in every worker."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import orjson
from sanic import Blueprint, Sanic
from sanic.config import DEFAULT_CONFIG
from sanic.response import BaseHTTPResponse

from sanicbase.alerts import AlertHook
from sanicbase.alerts.webhooks import configured_hook
from sanicbase.app.browsers import install_browser_rules
from sanicbase.app.main_process import MainProcess
from sanicbase.app.summary import common_prefix
from sanicbase.config import Config
from sanicbase.edge.load import LoadLimiter
from sanicbase.errors import SanicBaseError
from sanicbase.http.app import ServiceApp
from sanicbase.http.compression import install_compression
from sanicbase.http.docs import install_docs
from sanicbase.http.envelope import ENVELOPES, Envelope, HTTPContext
from sanicbase.http.error_handler import ErrorHandler, overload_response
from sanicbase.http.errors.messages import Messages
from sanicbase.http.files.temporary import check_upload_dir
from sanicbase.http.openapi import info_of, install_openapi
from sanicbase.http.request import AnyRequest, ServiceRequest
from sanicbase.http.request_metrics import RequestMetrics
from sanicbase.http.routes import finish_routes, install_path_numbers, register, takes_uploads
from sanicbase.http.tracing import TracedApp, TracedRequest
from sanicbase.i18n import ErrorMessage, add_catalogs
from sanicbase.lifespan import Resource, lifespan
from sanicbase.log import setup_logging
from sanicbase.ops import install_health
from sanicbase.process.parent import die_with_parent, managers_die_with_parent
from sanicbase.process.role import is_main_process
from sanicbase.process.signals import exit_on_signal
from sanicbase.server.bind_address import AppKind, app_kind, bind_address, metrics_address
from sanicbase.server.context import App
from sanicbase.server.manager import Manager, stop_while_starting
from sanicbase.server.manager_thread import ManagerThread, sample_for_main_process
from sanicbase.tracing import check_tracing, current_recorder

__all__ = ["configure", "create_app"]

SANIC_EXT = {"OAS": False, "HTTP_ALL_METHODS": False}
"""Features of `sanic_ext.Extend(app)` that sanicbase provides itself: the OpenAPI document, and HEAD and OPTIONS."""


def create_app(
    config: Config,
    *blueprints: Blueprint,
    resources: tuple[Resource, ...] = (),
    kind: AppKind | None = None,
    envelope: Envelope | None = None,
    messages: Mapping[str, ErrorMessage] | None = None,
    on_alert: AlertHook | None = None,
) -> App:
    """Create a Sanic app with the service's routes, its lifespan in every worker, and its errors in the envelope.

    An app whose routes are all WebSockets listens on WS_PORT, any other one on HTTP_PORT, unless `kind` decides.
    `resources` are opened after the databases and Redis. `envelope` replaces the one that ENVELOPE names. `messages`
    adds messages for the service's own field errors, or replaces those of sanicbase; in further languages they come
    from the catalogs in the `locale/` of the service's package. `on_alert` sends alerts, in the main process; by
    default the robot does that ALERT_WEBHOOK names. It can be called any number of times in a process; the
    newest app of a service and kind replaces the one before.
    """
    if is_main_process():
        managers_die_with_parent()
    else:
        die_with_parent()
    kind = kind or app_kind(blueprints)
    name = f"{config.SERVER_NAME}_{kind}"
    envelope = envelope or ENVELOPES[config.ENVELOPE]()
    opened = [*resources]  # read at the start, when the routes have added theirs
    main_process = MainProcess(config, name, opened)
    app = _new_app(name, HTTPContext(config, bind_address(config, kind), main_process.stop, envelope=envelope))
    configure(app, config)
    app.ctx.metrics_address = metrics_address(config, kind)
    app.ctx.alert_hook = on_alert or configured_hook(
        config.ALERT_WEBHOOK, config.ALERT_WEBHOOK_URL, config.ALERT_WEBHOOK_SECRET
    )
    install_compression(config, app.ctx.response_hooks)
    add_catalogs(config.package_dir() / "locale")
    ErrorHandler(envelope, Messages(messages)).install(app)
    install_path_numbers(app)
    install_health(app)
    _install_main_process(app, main_process)
    _install_lifespan(app, kind, opened)
    _install_load_limiter(app)
    for blueprint in blueprints:
        register(app, blueprint)
    opened += finish_routes(app)
    if config.serves_docs:
        install_openapi(app, info_of(config))
        install_docs(app, documents={config.SERVER_NAME: "openapi.json", **config.DOCS_DOCUMENTS})
    install_browser_rules(app, config)
    if app.ctx.metrics_address is not None:
        app.ctx.response_hooks.append(RequestMetrics().count)
    else:
        app.ctx.demanded_hook = RequestMetrics().count
    if config.WORKER_MAX_REQUESTS:
        app.ctx.response_hooks.append(_count_request)
    return app


def _new_app(name: str, context: HTTPContext) -> ServiceApp:
    if name in Sanic._app_registry:  # noqa: SLF001  (Sanic has no public look-up that does not raise)
        Sanic.unregister_app(Sanic.get_app(name))
    config = context.config
    options: dict[str, Any] = {
        "logs_access": config.ACCESS_LOG,
        "has_edge": config.EDGE == "sanicbase",
        "ctx": context,
        "configure_logging": False,
        "dumps": orjson.dumps,
        "loads": orjson.loads,
    }
    if not config.TRACING_ENDPOINT:
        return ServiceApp(name, request_class=ServiceRequest, **options)
    check_tracing()
    return TracedApp(name, tracing_peers=config.TRACING_PEERS, request_class=TracedRequest, **options)


def configure(app: App, config: Config) -> None:
    """Give the app these settings; resources that are opened later use them. Settings that shape routes or the
    document, such as ENVELOPE and DOCS, are fixed by `create_app`.

    Sanic's settings have Sanic's names. They are copied one by one, because its update_config drops class attributes.
    """
    app.ctx.config = config
    for name in type(config).model_fields.keys() & DEFAULT_CONFIG.keys():
        app.config[name] = getattr(config, name)
    app.config.WEBSOCKET_DEFLATE = config.WEBSOCKET_DEFLATE  # for the edge
    app.config.ACCESS_LOG = False  # the access lines are ours, see http/access_log.py
    app.config.AUTO_EXTEND = False
    app.config.TOUCHUP = True  # Sanic switches it off with DEBUG, which gives every response an empty Alt-Svc header
    app.config.MOTD = False
    app.config.update(SANIC_EXT)


def _install_main_process(app: App, main_process: MainProcess) -> None:
    """Install the listeners of the main process, which both the `sanic` command and serve() call."""
    logging.getLogger("sanic.error").addFilter(_is_not_exit)
    manager_thread = ManagerThread(app)
    app.ctx.check_resources = main_process.check_resources

    @app.main_process_start
    async def start_main_process(app: App) -> None:
        stops = app.listeners["main_process_stop"]  # called in the order of registration, by Sanic as well
        stops.append(stops.pop(stops.index(stop_main_process)))  # the service's own come first: they may need Redis
        with _exit_with_message(), nullcontext() if app.ctx.handles_signals else exit_on_signal():
            await main_process.start(
                app, replace(app.ctx.bind_address, **_command_line_options(app)), common_prefix(app.blueprints.values())
            )
            if not app.ctx.handles_signals:  # under the sanic command
                manager_thread.start()

    @app.main_process_ready
    async def allow_stop_during_start(app: App) -> None:
        if not isinstance(app.manager, Manager):  # that of the sanic command
            stop_while_starting(app.manager, app.ctx.config.GRACEFUL_SHUTDOWN_TIMEOUT)

    @app.main_process_stop
    async def stop_main_process(app: App) -> None:
        manager_thread.stop()
        main_process.stop()

    @app.after_server_start
    async def note_start(app: App) -> None:
        app.add_task(sample_for_main_process())


def _count_request(request: AnyRequest, response: BaseHTTPResponse) -> None:
    request.app.ctx.requests_served += 1


def _command_line_options(app: App) -> dict[str, Any]:
    """The options of `sanic http_xi_test:app --port …`."""
    return {"host": app.state.host, "port": app.state.port, "workers": app.state.workers}


def _install_lifespan(app: App, kind: AppKind, resources: Sequence[Resource]) -> None:
    stack = AsyncExitStack()
    closing = asyncio.Lock()

    @app.before_server_start
    async def open_lifespan(app: App) -> None:
        if not is_main_process():
            die_with_parent()
        config = app.ctx.config
        with _exit_with_message() if is_main_process() else nullcontext():
            setup_logging(config, process=kind)
            if takes_uploads(app):
                check_upload_dir(config.UPLOAD_DIR, config.project_dir(), setting=f"{config.env_prefix()}UPLOAD_DIR")
            app.ctx.resources = await stack.enter_async_context(lifespan(config, *resources, check=app.ctx.check))
        if isinstance(app, TracedApp):
            app.request_tracing.use(current_recorder())

    @app.after_server_stop
    async def close_lifespan(app: App) -> None:
        # An app that serves HTTP/3 and HTTP/1 has two servers. Sanic calls this for both at once, and closes the event
        # loop after one of the calls.
        async with closing:
            if isinstance(app, TracedApp):
                app.request_tracing.use(None)
            await stack.aclose()


def _install_load_limiter(app: App) -> None:
    config = app.ctx.config
    if not config.MAX_CONCURRENT_REQUESTS:
        return
    limiter = LoadLimiter(config.MAX_CONCURRENT_REQUESTS, config.MAX_QUEUE_TIME, overload_response)
    app.ctx.load_limiter = limiter

    @app.before_server_start
    async def start_load_limiter(app: App) -> None:
        limiter.start()

    @app.after_server_stop
    async def stop_load_limiter(app: App) -> None:
        limiter.stop()


@contextmanager
def _exit_with_message() -> Iterator[None]:
    """An error of sanicbase ends the process with its message and status 1."""
    try:
        yield
    except SanicBaseError as exc:
        sys.exit(str(exc))


def _is_not_exit(record: logging.LogRecord) -> bool:
    """Drop the traceback that Sanic logs for a SystemExit, whose message is enough."""
    return not isinstance(sys.exc_info()[1], SystemExit)
