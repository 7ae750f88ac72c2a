"""URLs of Redis: what each says, what is wrong with one, and that no password is ever shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection

from sanicbase import Config, ConfigError
from sanicbase.config.database_urls import hide_password
from sanicbase.config.redis_urls import parse_redis_url


class ShopConfig(Config):
    SERVER_NAME = "shop"


def test_a_server_is_what_redis_py_reads() -> None:
    url = parse_redis_url("redis://u:p%2Fw@h:6380/3?health_check_interval=5")
    assert (url.kind, url.connection) == ("server", Connection)
    assert url.options == {
        "username": "u",
        "password": "p/w",
        "host": "h",
        "port": 6380,
        "db": 3,
        "health_check_interval": 5,
    }
    assert parse_redis_url("valkey://h").options == {"host": "h", "port": 6379, "db": 0}
    assert parse_redis_url("redis://[::1]:1/").options == {"host": "::1", "port": 1, "db": 0}


def test_tls_and_sockets_have_their_connections() -> None:
    url = parse_redis_url("valkeys://h/0?ssl_ca_certs=/ca.pem&ssl_check_hostname=no")
    assert url.connection is SSLConnection
    assert (url.options["ssl_ca_certs"], url.options["ssl_check_hostname"]) == ("/ca.pem", False)
    url = parse_redis_url("unix:///run/redis%20a.sock?db=1&password=p")
    assert url.connection is UnixDomainSocketConnection
    assert url.options == {"path": "/run/redis a.sock", "db": 1, "password": "p"}


def test_sentinels_have_hosts_a_service_and_options_of_their_own() -> None:
    url = parse_redis_url(
        "rediss+sentinel://u:p@one,[::1]:2/my%20service/4?sentinel_password=s&ssl_ca_certs=/ca.pem&protocol=2"
    )
    assert (url.kind, url.service, url.connection) == ("sentinel", "my service", SSLConnection)
    assert url.addresses == (("one", 26379), ("::1", 2))
    assert url.options == {"username": "u", "password": "p", "db": 4, "ssl_ca_certs": "/ca.pem", "protocol": 2}
    assert url.sentinel_options == {"password": "s", "ssl_ca_certs": "/ca.pem"}


def test_a_cluster_has_hosts_and_database_0() -> None:
    url = parse_redis_url("valkey+cluster://:p@one:1,two")
    assert (url.kind, url.addresses) == ("cluster", (("one", 1), ("two", 6379)))
    assert (url.options, url.sentinel_options) == ({"password": "p", "db": 0}, {})


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("localhost", "it is not a URL; write redis://"),
        ("http://h", "the scheme 'http' is not known"),
        ("redis+ring://h", r"the scheme 'redis\+ring' is not known"),
        ("redis+://h", "is not known"),
        ("unix://relative", "it has no path; write unix:///path"),
        ("redis://", "a host is missing or misspelt"),
        ("redis://::1", "a host is missing or misspelt"),
        ("redis+cluster://h,", "a host is missing"),
        ("redis://h:0", "a port is not a number from 1 to 65535"),
        ("redis://:s3cret/x@h", "a host is missing or misspelt; in a password write / as %2F"),
        ("redis://u:1/s3cret@h", "its path has an @; in a password write / as %2F"),
        ("redis://one,two", r"it has several hosts; write redis\+sentinel:// or"),
        ("redis://h/s3cret", "its database is not a number from 0 on"),
        ("redis+sentinel://h", "the service name is missing; write redis"),
        ("redis+sentinel://h/service/x", "its database is not a number"),
        ("redis+cluster://h/1", "a Cluster has database 0 only"),
        ("redis+cluster://h?sentinel_password=s3cret", "it has options for Sentinels"),
        ("redis://h?colour=s3cret", "the option 'colour' is not known to redis-py's Connection; correct or remove it"),
        ("redis://h?ssl_ca_certs=/x", "the option 'ssl_ca_certs' needs TLS"),
        ("redis://h?ssl_cert_reqs=none", "needs TLS; begin the URL with rediss, or remove the option"),
        ("rediss://h?ssl_cert_reqs=CERT_NONE", "one of its options; ssl_cert_reqs is none, optional or required"),
        ("rediss://h?sslmode=require", "the option 'sslmode' is not known to redis-py's SSLConnection; correct or"),
        (
            "unix:///s?ssl_ca_certs=/x",
            "the option 'ssl_ca_certs' is not known to redis-py's UnixDomainSocketConnection",
        ),
        ("redis+cluster://h?ssl_ca_certs=/x", "needs TLS; begin the URL with rediss"),
        ("redis+sentinel://h/s?sentinel_colour=1", "the option 'colour' is not known"),
        (
            "redis+cluster://h?retry_on_timeout=yes",
            "the option 'retry_on_timeout' is not known to redis-py's RedisCluster",
        ),
        ("redis://h?socket_timeout=soon", "invalid value for 'socket_timeout' in connection URL"),
        ("redis+cluster://:s3cret@[?@one,two", "a host is missing or misspelt"),
        ("redis+cluster://:s3cret@\r#@one,two", "it has a line break or another control character"),
        ("rediss://h?ssl_cert_reqs=s3cret", "redis-py's SSLConnection refuses the value of one of its options"),
    ],
)
def test_a_wrong_url_is_one_error_message_that_names_setting_and_remedy(url: str, sentence: str) -> None:
    for settings, name in (
        ({"REDIS_URL": url}, "REDIS_URL"),
        ({"REDIS_CONNECTIONS": {"a": url}}, "REDIS_CONNECTIONS.a"),
    ):
        with pytest.raises(ConfigError, match=rf"^SHOP_{name}: .*{sentence}.*Correct it in the environment") as excinfo:
            ShopConfig(**settings)
        assert len(str(excinfo.value).splitlines()) == 1
        assert "s3cret" not in str(excinfo.value)


URLS = (
    "redis+sentinel://user:{}@one:1,two:2/service/0",
    "redis+cluster://:{}@one,two",
    "redis+sentinel://one,two/service?sentinel_password={}",
    "redis://:{}@host:1/0",
    "unix://:{}@/path",
)


@given(st.text(min_size=1, max_size=30), st.sampled_from(URLS))
def test_no_password_is_left_in_hidden_text_or_error_messages(secret: str, template: str) -> None:
    url = template.format(f"s3cret{secret}")
    assert "s3cret" not in hide_password(url)
    try:
        config = ShopConfig(REDIS_URL=url)
        shown = repr(config) + repr(parse_redis_url(config.redis_urls("")["default"]))
    except ConfigError as exc:
        shown = str(exc)
    assert "s3cret" not in shown


def test_the_shown_url_keeps_several_hosts_and_hides_the_password() -> None:
    shown = hide_password("redis+sentinel://u:p@one:1,[::1]:2/service/0?a=b")
    assert shown == "redis+sentinel://u:***@one:1,[::1]:2/service/0?***"
