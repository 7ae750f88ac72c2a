"""Front ends at other origins, which send a token but no cookie."""

import httpx

FRONT_END = {"Origin": "https://demo.realworld.show"}


async def test_a_front_end_at_any_origin_may_use_the_api(http_client: httpx.AsyncClient) -> None:
    request_headers = {
        **FRONT_END,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization",
    }
    preflight = await http_client.options("/api/user", headers=request_headers)
    assert preflight.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS, PUT"
    assert "Authorization" in preflight.headers["access-control-allow-headers"].split(", ")
    refused = await http_client.get("/api/user", headers=FRONT_END)
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "*")
    assert "access-control-allow-credentials" not in refused.headers
