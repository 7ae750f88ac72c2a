"""`request.ctx` and `app.ctx` are typed, and take what a service adds; mypy checks the types of this file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_type

from sanic import Blueprint
from sanic.request import Request as SanicRequest

import sanicbase
from sanicbase import APIView, Config, RequestContext, Resource, ServiceContext
from tests.http.conftest import Serve


class ContextAPI(APIView):
    @classmethod
    async def admit(cls, request: sanicbase.Request) -> str:
        assert_type(request.ctx, RequestContext)
        request.ctx.role = "reader"
        return "ann"

    async def get(self, request: sanicbase.Request, user: str) -> dict[str, object]:
        context = request.app.ctx
        assert_type(context, ServiceContext)
        assert_type(context.config, Config)
        assert_type(context.resources, Sequence[Resource])
        assert_type(request.ctx.user, object)
        return {
            "service": context.config.SERVER_NAME,
            "draining": context.draining,
            "resources": len(context.resources) > 0,
            "user": request.ctx.user,
            "role": request.ctx.role,
        }


class PlainAPI(APIView, public=True):
    async def get(self, request: SanicRequest) -> dict[str, object]:
        return {"user": request.ctx.user}


async def test_the_contexts_have_what_their_types_say(serve: Serve) -> None:
    blueprint = Blueprint("contexts")
    ContextAPI.attach(blueprint, "/context")
    PlainAPI.attach(blueprint, "/plain")
    async with serve(blueprint) as client:
        assert (await client.get("/context")).json()["data"] == {
            "service": "xi_test",
            "draining": False,
            "resources": True,
            "user": "ann",
            "role": "reader",
        }
        assert (await client.get("/plain")).json()["data"] == {"user": None}
