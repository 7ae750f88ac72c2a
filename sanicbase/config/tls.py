"""TLS to a database or a Redis: its options, the context that they create, and why a handshake failed.

The options are libpq's (https://www.postgresql.org/docs/current/libpq-ssl.html) and those of MySQL's clients
(https://dev.mysql.com/doc/refman/8.4/en/connection-options.html). Each means the same for every driver.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

from sanicbase.i18n import gettext as _
from sanicbase.i18n import gettext_noop

__all__ = [
    "SETTING",
    "TLS",
    "TLS_OPTIONS",
    "Level",
    "TLSFailure",
    "TLSOptions",
    "explain",
    "is_tls_option",
    "load_files",
    "read_bool",
    "read_tls",
]

SETTING = "{setting}"  # in a remedy, until it is known which setting is to be corrected
SYSTEM = "system"  # libpq's name for the certificate authorities that the machine trusts

MODES = ("sslmode", "ssl_mode", "ssl")
FILES = {
    "sslrootcert": "ca",
    "ssl_ca": "ca",
    "sslcert": "cert",
    "ssl_cert": "cert",
    "sslkey": "key",
    "ssl_key": "key",
    "sslpassword": "password",
}
IDENTITY_CHECKS = ("ssl_check_hostname", "ssl_verify_identity")
CHECKS = (*IDENTITY_CHECKS, "ssl_verify_cert")
TLS_OPTIONS = (*MODES, *FILES, *CHECKS)  # and with a - for each _, as in MySQL's files of options

CA_FILE = gettext_noop("the CA file")
CERT_FILE = gettext_noop("the certificate file")
KEY_FILE = gettext_noop("the private key")
CERT_OR_KEY = gettext_noop("the certificate or private key")

BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class Level(IntEnum):
    """The required level of TLS; each level requires more than the one before."""

    DISABLE = 0
    PREFER = 1
    REQUIRE = 2
    VERIFY_CA = 3
    VERIFY_FULL = 4


LEVELS = {
    "disable": Level.DISABLE,
    "disabled": Level.DISABLE,
    "allow": Level.PREFER,
    "prefer": Level.PREFER,
    "preferred": Level.PREFER,
    "require": Level.REQUIRE,
    "required": Level.REQUIRE,
    "verify-ca": Level.VERIFY_CA,
    "verify-full": Level.VERIFY_FULL,
    "verify-identity": Level.VERIFY_FULL,
}


@dataclass(frozen=True)
class TLS:
    """The TLS configuration of a connection. The files are PEM; an empty `ca` means the machine's authorities, an empty
    `key` a key in the certificate's file."""

    level: Level
    ca: str = ""
    cert: str = ""
    key: str = ""
    password: str = field(default="", repr=False)

    def relative_to(self, directory: Path) -> TLS:
        """A copy with relative paths resolved against `directory`."""
        ca, cert, key = (path and str(directory / path) for path in (self.ca, self.cert, self.key))
        return replace(self, ca=ca, cert=cert, key=key)

    def context(self) -> ssl.SSLContext:
        """Create the context of a client. Raises ValueError when a file cannot be used."""
        # Without create_default_context's VERIFY_X509_STRICT, under which Python 3.13 refuses the certificates that
        # MySQL makes for itself; libpq and MySQL's clients are not so strict either.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = self.level >= Level.VERIFY_FULL
        if self.level < Level.VERIFY_CA:
            context.verify_mode = ssl.CERT_NONE
        load_files(context, ca=self.ca, cert=self.cert, key=self.key, password=self.password)
        if self.level >= Level.VERIFY_CA and not self.ca:
            context.load_default_certs()
        return context


class TLSOptions(NamedTuple):
    """The spelling of options in the URL of a database or a Redis, for messages that recommend them."""

    off: str
    ca: str
    without_check: str
    without_name: str


class TLSFailure(NamedTuple):
    """Why TLS failed, and the remedy, in which `{setting}` stands for the setting to correct."""

    cause: str
    remedy: str

    @classmethod
    def of_no_tls(cls, options: TLSOptions) -> TLSFailure:
        """The failure of a server that does not speak TLS."""
        remedy = _(
            "Switch TLS on in the server, or write {option} in {setting} to connect without TLS",
            option=options.off,
            setting=SETTING,
        )
        return cls(_("the server does not support TLS"), remedy)


def is_tls_option(name: str) -> bool:
    """Whether the name is a TLS option, in any spelling."""
    return _plain(name) in TLS_OPTIONS


def read_tls(options: Mapping[str, Any]) -> TLS | None:
    """Parse the TLS options; returns None when there are none. Raises ValueError.

    `ssl=true` requires a verified certificate, as in asyncpg and aiomysql, and so does a file or a check without a
    mode. A check or a CA strengthens `require`; `prefer`, which checks nothing, cannot be combined with them.
    """
    tls_options = {_plain(name): (name, value) for name, value in options.items() if is_tls_option(name)}
    if not tls_options:
        return None
    files = dict(_files(tls_options))
    min_level, max_level = _bounds(tls_options, files)
    mode, level = _mode(tls_options)
    if level is None:
        level = max_level
    if level is Level.DISABLE:
        return TLS(level)
    if level is Level.PREFER and min_level > level:
        raise ValueError(
            _(
                "{mode} encrypts without checking anything, and the other options about TLS ask for a check or name a "
                "certificate; write {option}=verify-full, or remove those options",
                mode=mode,
                option=mode.partition("=")[0],
            )
        )
    level = max(level, min_level)
    if level > max_level:
        raise ValueError(
            _(
                "its options about TLS contradict each other: one asks for a check of the certificate, another "
                "switches it off; keep one of them"
            )
        )
    return TLS(level, **files)


def read_bool(name: str, value: Any) -> bool:
    """Parse a boolean of a URL. Raises ValueError."""
    parsed = BOOLEANS.get(str(value).lower())
    if parsed is None:
        raise ValueError(_("{name} is neither true nor false", name=name))
    return parsed


def load_files(
    context: ssl.SSLContext, *, ca: str = "", ca_path: str = "", cert: str = "", key: str = "", password: str = ""
) -> None:
    """Load `ca` and `cert` into the context. Raises ValueError with a message that names the file."""
    if ca or ca_path:
        with _named(CA_FILE, ca or ca_path):
            context.load_verify_locations(ca or None, ca_path or None)
    if key and not cert:
        raise ValueError(_("it names a private key and no certificate"))
    if cert:
        for path in filter(None, (cert, key)):
            with _named(CERT_FILE if path is cert else KEY_FILE, path), Path(path).open("rb"):
                pass
        with _named(CERT_OR_KEY, key or cert):
            # Without a password OpenSSL would ask the terminal for one.
            context.load_cert_chain(cert, key or None, password=lambda: password)


def explain(error: BaseException, options: TLSOptions) -> TLSFailure | None:
    """Why the handshake failed; None when the error is not about TLS."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _untrusted(cause, options)
        if isinstance(cause, ssl.SSLError):
            if cause.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"):
                return TLSFailure.of_no_tls(options)
            reason = (cause.reason or str(cause)).lower().replace("_", " ")
            return TLSFailure(
                _("the TLS handshake fails: {reason}", reason=reason),
                _("Compare the TLS settings of the server with {setting}", setting=SETTING),
            )
    return None


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _files(tls_options: Mapping[str, tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    files: dict[str, str] = {}
    for option, attribute in FILES.items():
        if option in tls_options:
            name, value = tls_options[option]
            if not value:
                raise ValueError(_("{name} has no value", name=name))
            if files.setdefault(attribute, str(value)) != str(value):
                raise ValueError(
                    _("{name} names another file than the option that means the same; keep one of them", name=name)
                )
    yield from files.items()


def _bounds(tls_options: Mapping[str, tuple[str, Any]], files: dict[str, str]) -> tuple[Level, Level]:
    """The lowest and the highest level that the files and checks allow; removes libpq's `system` from the files."""
    min_level, max_level = Level.REQUIRE if files else Level.DISABLE, Level.VERIFY_FULL
    if ca := files.get("ca"):
        min_level = Level.VERIFY_FULL if ca == SYSTEM else Level.VERIFY_CA
    if ca == SYSTEM:
        del files["ca"]
    for option in CHECKS:
        if option not in tls_options:
            continue
        identity = option in IDENTITY_CHECKS
        if read_bool(*tls_options[option]):
            min_level = max(min_level, Level.VERIFY_FULL if identity else Level.VERIFY_CA)
        else:
            max_level = min(max_level, Level.VERIFY_CA if identity else Level.REQUIRE)
    return min_level, max_level


def _mode(tls_options: Mapping[str, tuple[str, Any]]) -> tuple[str, Level | None]:
    """The mode as it is written, and its level: None when TLS is required without a level."""
    modes = {option: _level(*tls_options[option]) for option in MODES if option in tls_options}
    if len(set(modes.values())) > 1:
        raise ValueError(
            _(
                "{options} contradict each other; keep one of them",
                options=_(" and ").join(tls_options[option][0] for option in modes),
            )
        )
    if not modes:
        return "", None
    option, level = next(iter(modes.items()))
    return f"{tls_options[option][0]}={tls_options[option][1]}", level


def _level(name: str, value: Any) -> Level | None:
    text = str(value).lower()
    if text in BOOLEANS:
        return None if BOOLEANS[text] else Level.DISABLE
    level = LEVELS.get(text.replace("_", "-"))
    if level is None:
        raise ValueError(
            _("{name} is not a TLS mode; write disable, prefer, require, verify-ca or verify-full", name=name)
        )
    return level


@contextmanager
def _named(option: str, path: str) -> Iterator[None]:
    """Convert an error inside the block to a ValueError that names the file."""
    try:
        yield
    except ssl.SSLError as exc:
        reason = _("is not valid PEM, or its password is wrong")
        if option == CA_FILE:
            reason = _("has no certificate in PEM format")
        elif exc.reason == "KEY_VALUES_MISMATCH":
            reason = _("does not belong to the certificate")
        raise ValueError(_("{file} {path} {reason}", file=_(option), path=path, reason=reason)) from exc
    except FileNotFoundError as exc:
        raise ValueError(_("{file} {path} does not exist", file=_(option), path=path)) from exc
    except OSError as exc:
        raise ValueError(
            _("{file} {path} cannot be read: {error}", file=_(option), path=path, error=exc.strerror)
        ) from exc


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _untrusted(error: ssl.SSLCertVerificationError, options: TLSOptions) -> TLSFailure:
    message = error.verify_message
    if error.verify_code in (62, 64):  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
        return TLSFailure(
            _("the server's certificate is for another host: {reason}", reason=message.rstrip(".")),
            _(
                "Write a name from the certificate as the host in {setting}, or {option} there to check its CA only",
                setting=SETTING,
                option=options.without_name,
            ),
        )
    if error.verify_code in (9, 10):  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
        return TLSFailure(
            _("the server's {reason}", reason=message),
            _("Renew it, or correct the clock; {setting} asks for a valid one", setting=SETTING),
        )
    return TLSFailure(
        _("the server's certificate is not trusted: {reason}", reason=message),
        _(
            "Name the CA that signed it by {ca} in {setting}, or write {option} there to encrypt without checking it",
            ca=options.ca,
            setting=SETTING,
            option=options.without_check,
        ),
    )
