"""The rules of an app for browsers and proxies, decided once when it is created."""

from __future__ import annotations

from functools import partial

from sanicbase.config import Config
from sanicbase.edge.forwarded import TrustedProxies
from sanicbase.http.app import ServiceApp
from sanicbase.http.cors import CORS, CrossOriginRules
from sanicbase.http.default_headers import DefaultHeaders, credential_headers
from sanicbase.http.hosts import AllowedHosts, PageOrigins
from sanicbase.http.routes import cors_at, methods_at

__all__ = ["install_browser_rules"]


def install_browser_rules(app: ServiceApp, config: Config) -> None:
    """Install what the settings and the views of the app ask for. Call it when all routes are added."""
    context, routes, is_prod = app.ctx, app.router.routes, config.ENV == "prod"
    if config.TRUSTED_PROXIES:
        context.trusted_proxies = TrustedProxies(config.TRUSTED_PROXIES, config.FORWARDED_HEADERS)
    specs = [spec for route in routes if (spec := getattr(route.ctx, "spec", None)) is not None]
    context.default_headers = DefaultHeaders(
        config,
        id_header=app.config.REQUEST_ID_HEADER,
        credentials=credential_headers(spec.security for spec in specs),
    )
    cors = CORS.of(config)
    origins = PageOrigins(cors, allows_loopback=not is_prod)
    context.check_socket_origin, context.allows_origin = origins.check, origins.allows
    has_own = any(getattr(route.ctx, "cors", None) is not None for route in routes)
    app.install_rules(
        hosts=AllowedHosts(config.ALLOWED_HOSTS) if is_prod and config.ALLOWED_HOSTS else None,
        cross_origin=CrossOriginRules(
            cors,
            methods_at=partial(methods_at, app),
            cors_at=partial(cors_at, app) if has_own else lambda request: None,
        )
        if has_own or cors.origins
        else None,
    )
