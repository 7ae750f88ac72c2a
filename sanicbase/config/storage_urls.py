"""URLs of object storage. Nothing is connected here.

`s3://key:secret@s3.eu-central-1.amazonaws.com/bucket/prefix?region=eu-central-1`, and the same for every service that
speaks the protocol of S3: Aliyun OSS, Tencent COS, MinIO.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from sanicbase.i18n import gettext as _
from sanicbase.i18n import gettext_noop

__all__ = ["StorageAddress", "check_storage_url", "parse_storage_url"]

EXAMPLES = gettext_noop("s3://key:secret@host/bucket?region=… or file:///folder")
OPTIONS = {"region": r"[a-z0-9-]+", "style": "virtual|path", "tls": "true|false"}
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class StorageAddress:
    """A parsed URL. `folder` is that of a `file://` URL; all else is that of an `s3://` one."""

    bucket: str = ""
    prefix: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    virtual: bool = True
    folder: str = ""
    credentials: dict[str, Any] = field(default_factory=dict, repr=False)


def check_storage_url(url: str) -> str:
    """The URL itself. Raises ValueError with a sentence for an invalid one."""
    parse_storage_url(url)
    return url


def parse_storage_url(url: str) -> StorageAddress:
    """The address in a URL. Raises ValueError, without the credentials in its message."""
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return StorageAddress(folder=unquote(parts.path))
    if parts.scheme != "s3" or not parts.hostname:
        raise ValueError(_("write {examples}", examples=_(EXAMPLES)))
    options: dict[str, Any] = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name, value in options.items():
        if name not in OPTIONS or re.fullmatch(OPTIONS[name], value) is None:
            raise ValueError(_("its options are region, style=path and tls=false; in a secret write ? as %3F"))
    bucket, prefix = [*unquote(parts.path.lstrip("/")).split("/", 1), ""][:2]
    if BUCKET.fullmatch(bucket) is None:
        raise ValueError(_("its path is not a bucket: write s3://key:secret@host/bucket; in a secret write / as %2F"))
    if bool(parts.username) != bool(parts.password):
        raise ValueError(_("it has a key without a secret: write s3://key:secret@host/bucket"))
    virtual = options.get("style", "virtual") == "virtual"
    host = parts.netloc.rpartition("@")[2]
    scheme = "http" if options.get("tls") == "false" else "https"
    credentials = (
        {"access_key_id": unquote(parts.username), "secret_access_key": unquote(parts.password)}
        if parts.username and parts.password
        else {}
    )
    return StorageAddress(
        bucket=bucket,
        prefix=prefix.strip("/"),
        endpoint=f"{scheme}://{f'{bucket}.' if virtual else ''}{host}",
        region=options.get("region", "us-east-1"),
        virtual=virtual,
        credentials=credentials,
    )
