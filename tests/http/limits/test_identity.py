"""Whose requests are counted together."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from sanicbase import AccessToken, SanicBaseError
from sanicbase.http.limits import address, user


def request(ip: str = "", person: object = None) -> Any:
    return SimpleNamespace(client_ip=ip, ip=ip, ctx=SimpleNamespace(user=person))


def test_an_ipv6_client_is_its_network() -> None:
    assert address.read(request("2001:db8:1:2:3:4:5:6")) == address.read(request("2001:db8:1:2::9"))
    assert address.read(request("2001:db8:1:3::9")) != address.read(request("2001:db8:1:2::9"))


def test_an_ipv4_address_is_the_same_in_ipv6() -> None:
    assert address.read(request("::ffff:10.0.0.1")) == address.read(request("10.0.0.1")) == "10.0.0.1"


def test_a_client_without_an_address_is_not_counted() -> None:
    assert address.read(request()) is None
    assert user.read(request()) is None


TOKEN = AccessToken(subject="7", session="", expires_at=0.0, claims={})


@pytest.mark.parametrize("person", [SimpleNamespace(pk=7), SimpleNamespace(id="7"), 7, "7", TOKEN])
def test_a_user_is_known_by_its_key(person: object) -> None:
    assert user.read(request("10.0.0.1", person)) == "7"


def test_the_key_of_a_user_may_be_a_uuid() -> None:
    key = UUID(int=1)
    assert user.read(request("", SimpleNamespace(id=key))) == str(key)


def test_a_user_without_a_key_is_an_error_that_names_the_remedy() -> None:
    with pytest.raises(SanicBaseError, match="Pass a function"):
        user.read(request("", SimpleNamespace(name="ann")))
