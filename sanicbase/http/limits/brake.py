"""A brake on password guessing: it limits failed sign-ins of an account and from an address."""

from __future__ import annotations

import logging

from sanicbase.http.limits.identity import address, client_address
from sanicbase.http.limits.rate_limit import too_many_requests
from sanicbase.http.request import AnyRequest
from sanicbase.rc.moving_window import MovingWindows, Rate, WindowCount

__all__ = ["SignInBrake"]

logger = logging.getLogger("sanicbase.limits")


class SignInBrake:
    """Limits failed sign-ins. Call `check` before the password is compared, and then `failed` or `succeeded`.

        brake = SignInBrake(by_account="10 per 15 minutes", by_address="100 per 15 minutes")

        await brake.check(body.email, request)
        user = await authenticate(body.email, body.password)
        if user is None:
            await brake.failed(body.email, request)
            raise Unauthorized("The email or the password is wrong.")
        await brake.succeeded(body.email, request)

    `check` counts the attempt in advance, so concurrent attempts are limited as well. `succeeded` removes it from the
    count, together with the account's failures. An attempt that ends in neither counts as failed. Give several brakes
    of a service different `name`s. Raises SanicBaseError for an invalid rate.
    """

    def __init__(
        self, *, by_account: str = "10 per 15 minutes", by_address: str = "100 per 15 minutes", name: str = "sign-in"
    ) -> None:
        self._name = name
        self._by_account = Rate.parse(by_account)
        self._by_address = Rate.parse(by_address)

    async def check(self, account: str, request: AnyRequest) -> None:
        """Count an attempt. Raises an error (429) when the account or the address has too many."""
        windows = _windows(request)
        if key := self._address_key(request):
            _refuse(await windows.count(key, self._by_address))
        _refuse(await windows.count(self._account_key(account), self._by_account))

    async def failed(self, account: str, request: AnyRequest) -> None:
        """Record that the attempt failed: it stays counted, and the log gets a line without the account."""
        left = await _windows(request).count(self._account_key(account), self._by_account, cost=0)
        if left is not None and left.remaining == 0:
            logger.warning("Too many sign-ins of an account failed, client %s.", client_address(request))

    async def succeeded(self, account: str, request: AnyRequest) -> None:
        """Record that the attempt succeeded: it is not counted, and the account's failures are removed."""
        windows = _windows(request)
        await windows.forget(self._account_key(account))
        if key := self._address_key(request):
            await windows.forget(key, events=1)

    def _account_key(self, account: str) -> str:
        return f"{self._name}/account/{account.strip().casefold()}"

    def _address_key(self, request: AnyRequest) -> str:
        """Empty for a client without an address, whose proxy uses a Unix socket."""
        whose = address.read(request)
        return f"{self._name}/address/{whose}" if whose else ""


def _refuse(count: WindowCount | None) -> None:
    if count is not None and not count.allowed:
        raise too_many_requests(count.reset)


def _windows(request: AnyRequest) -> MovingWindows:
    windows: MovingWindows = request.app.ctx.windows
    return windows
