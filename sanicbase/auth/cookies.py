"""Sessions of browsers, in a cookie that no script can read, and that no page of another site can use.

| defence (OWASP, Cross-Site Request Forgery Prevention) | against |
|---|---|
| `__Host-`, Secure, Path=/ (RFC 6265bis, 4.1.3.2) | cookies that a sibling domain or a page without TLS has set |
| HttpOnly | scripts that read the session |
| SameSite=Lax | forms of other sites: browsers send the cookie with links only |
| Origin, or Sec-Fetch-Site where it is missing | pages of sibling domains, which are of the same site |
| the header X-Requested-With | all other requests: a page of another origin cannot send it without a preflight |

A custom header is used instead of a double-submit token, because the clients are scripts: they can send a header, the
service need not issue and bind a token, and a cookie that a sibling domain has set changes nothing.
"""

from __future__ import annotations

from sanic.exceptions import Forbidden

from sanicbase.auth.access_token import AccessToken
from sanicbase.auth.bearer import bearer_token
from sanicbase.auth.tokens import Tokens
from sanicbase.errors import ConfigError
from sanicbase.http.errors.exceptions import InvalidCredentials
from sanicbase.http.guards import Security
from sanicbase.http.request import AnyRequest
from sanicbase.http.responses import response_headers
from sanicbase.i18n import gettext
from sanicbase.i18n import gettext_noop as _

__all__ = ["SessionCookies"]

SAFE = ("GET", "HEAD", "OPTIONS")
CUSTOM_HEADER = "X-Requested-With"
NONE = _("Authentication is required.")
SEVERAL = _("The session cookie must not be repeated.")
NO_HEADER = "Send the header X-Requested-With, such as `X-Requested-With: fetch`."
OTHER_SITE = "A page of another origin must not send this request. Add the origin to CORS_ORIGINS."


class SessionCookies:
    """Signs browsers in, and authenticates them by a cookie, or other clients by their Authorization header.

        cookies = SessionCookies(tokens)

        class BaseAPI(APIView):
            security = cookies.security

            @classmethod
            async def admit(cls, request: Request) -> AccessToken:
                return await cookies.authenticate(request)

    The cookie is `__Host-<name>`. It is sent only to this host and over TLS; browsers consider `localhost` secure.
    Services on several ports of one host need different names, because cookies do not distinguish ports. Raises
    ConfigError for an invalid name.
    """

    def __init__(self, tokens: Tokens, *, name: str = "session") -> None:
        if not (name.isascii() and name.replace("-", "").replace("_", "").isalnum()):
            raise ConfigError(
                gettext("The name {name!r} of a cookie may have letters, digits, - and _ only.", name=name)
            )
        self._tokens = tokens
        self.name = f"__Host-{name}"
        self.security: Security = {"cookie": {"type": "apiKey", "in": "cookie", "name": self.name}}
        """For the `security` of views."""

    async def sign_in(self, request: AnyRequest, user: object) -> None:
        """Create a session of that user, and set its cookie. Verify the password before."""
        cookie = await self._tokens.create_cookie(user, device=request.headers.get("user-agent", ""))
        self._set(request, cookie, self._tokens.session_lifetime)

    async def authenticate(self, request: AnyRequest) -> AccessToken:
        """The session of a request, or the token in its Authorization header. Call it in `admit`, for views and for
        WebSockets.

        Raises InvalidCredentials, Forbidden for a request that another site may have caused, and ResourceError when
        Redis does not respond.
        """
        if "authorization" in request.headers:
            return await self._tokens.verify(bearer_token(request))
        cookies = request.cookies.getlist(self.name) or []
        if not cookies:
            raise InvalidCredentials(NONE, scheme="ApiKey", error=None)
        if len(cookies) > 1:
            raise InvalidCredentials(SEVERAL, scheme="ApiKey")
        await self.check_origin(request)
        return await self._tokens.verify_cookie(cookies[0])

    async def check_origin(self, request: AnyRequest) -> None:
        """Refuse a request that a page of another site may have caused: Forbidden. Call it in the `admit` of a sign-in
        view, so that no page signs a browser in as somebody else. Requests that change nothing pass. A WebSocket is
        refused earlier, see CORS_ORIGINS."""
        if request.method in SAFE:
            return
        if "origin" in request.headers:
            allows = request.app.ctx.allows_origin
            is_own = allows is not None and allows(request)
        else:
            is_own = request.headers.get("sec-fetch-site", "same-origin") == "same-origin"
        if not is_own:
            raise Forbidden(OTHER_SITE, quiet=True)
        if not request.headers.get(CUSTOM_HEADER):
            raise Forbidden(NO_HEADER, quiet=True)

    def forget(self, request: AnyRequest) -> None:
        """Delete the cookie. End its session as well: `tokens.sign_out(token.session)`."""
        self._set(request, "", 0)

    def _set(self, request: AnyRequest, value: str, lifetime: float) -> None:
        attributes = f"Path=/; Max-Age={round(lifetime)}; Secure; HttpOnly; SameSite=Lax"
        response_headers(request).add("Set-Cookie", f"{self.name}={value}; {attributes}")
        response_headers(request)["Cache-Control"] = "no-store"
