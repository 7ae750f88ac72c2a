"""Four workers agree on tokens and roles: what one of them ends, none admits; without Redis all of them answer 503."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import NamedTuple

import httpx
import pytest

from sanicbase.testing import ServerMissing, ServiceProcess, wait_until
from sanicbase.testing.private_server import PrivateServer
from sanicbase.testing.service import NO_CERTIFICATES
from tests.auth import forging
from tests.auth.test_bearer import MALFORMED, OTHER_SCHEMES
from tests.preloaded import PreloadedService
from tests.rc import kinds

WORKERS = 4
CONFIG = 'from sanicbase import Config\nclass ShopConfig(Config):\n    SERVER_NAME = "shop"\n'
MODELS = """
from sanicbase import DBModel
from tortoise import fields

class Member(DBModel):
    id = fields.IntField(primary_key=True)
    role = fields.CharField(max_length=20)
"""
LAUNCH = """
import os
from pydantic import BaseModel
from sanic import Blueprint
from sanicbase import AccessToken, APIView, Policy, RCModel, TokenPair, Tokens, create_app, serve
from shop.config import ShopConfig
from shop.model_db.main import Member

config = ShopConfig()
tokens = Tokens(config)

class Body(BaseModel):
    token: str

class SignInAPI(APIView, public=True):
    async def post(self, request) -> TokenPair:
        return await tokens.sign_in(7)

class RefreshAPI(APIView, public=True):
    async def post(self, request, body: Body) -> TokenPair:
        return await tokens.refresh(body.token)

class PidAPI(APIView, public=True):
    async def get(self, request) -> int:
        return os.getpid()

class MeAPI(APIView):
    @classmethod
    async def admit(cls, request) -> AccessToken:
        return await tokens.authenticate(request)

    async def get(self, request, user: AccessToken) -> str:
        return user.subject

    async def delete(self, request, user: AccessToken) -> None:
        await tokens.sign_out(user.session)

class MemberRC(RCModel):
    id: int
    role: str

    class Meta:
        source = Member

policy = Policy[MemberRC](roles={"editor": ["desk.open"], "guest": []}, roles_of=lambda member: [member.role])
remembered = {}

class RoleAPI(APIView, public=True):
    async def put(self, request, role: str) -> None:
        if not await MemberRC.update(1, role=role):
            await MemberRC.create(id=1, role=role)

class DeskAPI(APIView):
    @classmethod
    async def admit(cls, request) -> MemberRC:
        member = await MemberRC.get(1)
        if "remembered" in request.headers:  # the control: what a worker keeps by itself
            member = remembered.setdefault(1, member)
        return member

    @policy.requires("desk.open")
    async def get(self, request) -> str:
        return "open"

blueprint = Blueprint("shop")
RoleAPI.attach(blueprint, "/role/<role>")
DeskAPI.attach(blueprint, "/desk")
SignInAPI.attach(blueprint, "/sign-in")
RefreshAPI.attach(blueprint, "/refresh")
PidAPI.attach(blueprint, "/pid")
MeAPI.attach(blueprint, "/me")
app = create_app(config, blueprint)

if __name__ == "__main__":
    serve(app)
"""


class Shop(NamedTuple):
    service: ServiceProcess
    redis: PrivateServer
    clients: list[httpx.Client]
    """A connection to each worker."""

    def sign_in(self) -> dict[str, str]:
        pair: dict[str, str] = self.clients[0].post("/sign-in").json()["data"]
        return pair

    def statuses(self, access_token: str) -> list[int]:
        """What each worker answers to the token."""
        return [client.get("/me", headers=bearer(access_token)).status_code for client in self.clients]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop" / "config").mkdir(parents=True)
    (folder / "shop" / "model_db").mkdir()
    (folder / "shop" / "__init__.py").touch()
    (folder / "shop" / "model_db" / "main.py").write_text(MODELS)
    (folder / "shop" / "config" / "__init__.py").write_text(CONFIG)
    (folder / "http_shop.py").write_text(LAUNCH)
    try:
        with ExitStack() as stack:
            redis = stack.enter_context(kinds.server())
            env = {
                "SHOP_WORKERS": str(WORKERS),
                "SHOP_REDIS_URL": kinds.url(redis),
                "SHOP_JWT_SECRET": forging.SECRET,
                "SHOP_JWT_ISSUER": forging.ISSUER,
                "SHOP_JWT_AUDIENCE": forging.AUDIENCE,
                "SHOP_ENV": "test",
                "SHOP_DB_URL": "embedded://",
            }
            service = PreloadedService(folder / "http_shop.py", cwd=folder, prefix="SHOP_", env=env)
            stack.enter_context(service)
            wait_until(lambda: "shop_http is serving." in service.output(), 60, what="the last worker")
            yield Shop(service, redis, connections(service, stack))
    except ServerMissing as exc:
        pytest.skip(str(exc))


def connections(service: ServiceProcess, stack: ExitStack) -> list[httpx.Client]:
    """A client with a connection to each worker, which the kernel chooses."""
    clients: dict[int, httpx.Client] = {}

    def has_all() -> bool:
        client = stack.enter_context(
            httpx.Client(base_url=service.base_url, trust_env=False, verify=NO_CERTIFICATES, timeout=30)
        )
        clients.setdefault(client.get("/pid").json()["data"], client)
        return len(clients) == WORKERS

    wait_until(has_all, 60, what="a connection to each worker")
    return list(clients.values())


def test_of_concurrent_refreshes_on_all_workers_exactly_one_succeeds(shop: Shop) -> None:
    for _ in range(5):
        pair = shop.sign_in()

        def refresh(client: httpx.Client, token: str = pair["refresh_token"]) -> int:
            return client.post("/refresh", json={"token": token}).status_code

        with ThreadPoolExecutor(2 * WORKERS) as pool:
            statuses = Counter(pool.map(refresh, shop.clients * 2))
        assert statuses == {200: 1, 401: 2 * WORKERS - 1}
        assert shop.statuses(pair["access_token"]) == [401] * WORKERS  # the reuse has ended the session


def test_a_session_revoked_by_one_worker_is_refused_by_all_from_the_next_request_on(shop: Shop) -> None:
    for ending in shop.clients:
        pair, other = shop.sign_in(), shop.sign_in()
        assert shop.statuses(pair["access_token"]) == [200] * WORKERS  # the control, and every worker has seen it
        assert ending.delete("/me", headers=bearer(pair["access_token"])).status_code == 200
        assert shop.statuses(pair["access_token"]) == [401] * WORKERS
        assert shop.statuses(other["access_token"]) == [200] * WORKERS
        assert shop.clients[0].post("/refresh", json={"token": pair["refresh_token"]}).status_code == 401


def test_a_role_that_one_worker_takes_away_is_gone_on_all_from_the_next_request_on(shop: Shop) -> None:
    def statuses(**headers: str) -> list[int]:
        return [client.get("/desk", headers=headers).status_code for client in shop.clients]

    for changing in shop.clients:
        for role, status in (("editor", 200), ("guest", 403)):
            assert changing.put(f"/role/{role}").status_code == 200
            assert statuses() == [status] * WORKERS
    shop.clients[0].put("/role/editor")
    assert statuses(remembered="1") == [200] * WORKERS
    shop.clients[0].put("/role/guest")
    assert statuses(remembered="1") == [200] * WORKERS  # the control: this is how it would be without coherence
    assert statuses() == [403] * WORKERS


def test_no_worker_admits_a_hostile_token_or_header(shop: Shop) -> None:
    session = shop.sign_in()["refresh_token"].partition(".")[0]
    hostile = {name: f"Bearer {token}" for name, token in forging.hostile_tokens(session).items()}
    hostile |= {f"the header {header!r}": header for header in (*MALFORMED, *OTHER_SCHEMES) if header == header.strip()}
    assert len(hostile) >= 150
    wrong = {}
    for at, (name, header) in enumerate(hostile.items()):
        response = shop.clients[at % WORKERS].get("/me", headers={b"Authorization": as_sent(header)})
        challenge = response.headers.get("www-authenticate", "")
        leaked = [word for word in forging.INSIDE if word in response.text + challenge]
        if response.status_code != 401 or not challenge.startswith("Bearer") or leaked:
            wrong[name] = (response.status_code, challenge, leaked)
    assert not wrong
    assert shop.statuses(forging.good_token(session)) == [200] * WORKERS  # the control
    assert "Traceback" not in shop.service.output()


def as_sent(header: str) -> bytes:
    """The bytes of a header, without those that a header cannot have."""
    return header.encode("utf-8", "surrogateescape").translate(None, b"\r\n\v\x7f\0")


def test_without_redis_every_worker_answers_503_and_not_401(shop: Shop) -> None:
    pair = shop.sign_in()
    shop.redis.end()
    try:
        with ThreadPoolExecutor(WORKERS) as pool:
            responses = [*pool.map(lambda c: c.get("/me", headers=bearer(pair["access_token"])), shop.clients)]
            refreshes = [*pool.map(lambda c: c.post("/refresh", json={"token": pair["refresh_token"]}), shop.clients)]
        assert [response.status_code for response in (*responses, *refreshes)] == [503] * 2 * WORKERS
        assert all("retry-after" in response.headers for response in responses)
        forged = forging.token(forging.header(), forging.claims("0" * 22, iss="other"))  # nothing needs to be looked up
        assert shop.statuses(forged) == [401] * WORKERS
    finally:
        shop.redis.restart()
    # That Redis comes back empty, so all sessions have ended.
    wait_until(lambda: shop.statuses(pair["access_token"]) == [401] * WORKERS, 60, what="Redis on all workers")
    assert shop.statuses(shop.sign_in()["access_token"]) == [200] * WORKERS
