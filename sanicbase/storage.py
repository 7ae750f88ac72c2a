"""Object storage: files in a bucket of S3 or of a service with its protocol, through obstore.

It needs the extra `storage`. obstore retries requests, streams, and signs URLs; this adds the setting, the lifespan and
the errors of sanicbase.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sanicbase.config import Config
from sanicbase.config.storage_urls import StorageAddress, parse_storage_url
from sanicbase.errors import ConfigError, NotOpenError, ObjectNotFound, ResourceError
from sanicbase.i18n import gettext as _

__all__ = ["Storage"]

PART = 5 * 1024 * 1024  # bytes of a part of an upload; S3 takes no smaller ones
PARTS_AT_ONCE = 2
BLOCK = 262_144  # bytes, of a download
INVALID_KEY = re.compile(r"[\x00-\x1f\x7f]|(?:^|/)\.{0,2}(?:/|$)")
PROBE = "sanicbase-ping"  # an object that need not exist


class Storage:
    """The bucket of STORAGE_URL, as a resource of the lifespan:

        storage = Storage(config)
        app = create_app(config, http, resources=(storage,))

    Keys are paths such as `avatars/7.png`, below the prefix of the URL. Raises ObjectNotFound for an object that does
    not exist, ResourceError when the storage does not answer, ValueError for an invalid key, and NotOpenError outside
    the lifespan.
    """

    name = "storage"

    def __init__(self, config: Config) -> None:
        """Raises ConfigError without STORAGE_URL or obstore."""
        self._setting = f"{config.env_prefix()}STORAGE_URL"
        if not config.STORAGE_URL:
            raise ConfigError(
                _("{name} is not set. Set it to a bucket: s3://key:secret@host/bucket", name=self._setting)
            )
        try:
            import obstore
        except ImportError as exc:
            raise ConfigError(
                _(
                    "The storage needs obstore, which is not installed. Run: {command}",
                    command="pip install 'sanicbase[storage]'",
                )
            ) from exc
        self._obstore: Any = obstore
        self._address = parse_storage_url(config.STORAGE_URL)
        self._timeout = config.CONNECT_TIMEOUT
        self._opened: Any = None

    async def __aenter__(self) -> Self:
        self._opened = _store(self._address, self._timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened = None

    async def ping(self) -> None:
        """Raises ResourceError when the storage does not answer, or refuses the credentials."""
        with self._errors(PROBE, missing_is_fine=True):
            await self._obstore.head_async(self._store, PROBE)

    async def put(
        self, key: str, content: bytes | Path | AsyncIterator[bytes], *, content_type: str = "", overwrite: bool = True
    ) -> None:
        """Store an object, which is visible when it is whole. Blocks are sent as they come, 5 MiB at a time:
        `put(key, avatar.blocks())`. Raises FileExistsError unless it may `overwrite`, which small objects only support.
        """
        attributes = {"Content-Type": content_type} if content_type else None
        with self._errors(_checked(key)):
            await self._obstore.put_async(
                self._store,
                key,
                content,
                attributes=attributes,
                mode="overwrite" if overwrite else "create",
                chunk_size=PART,
                max_concurrency=PARTS_AT_ONCE,
            )

    async def get(self, key: str) -> bytes:
        """The content of an object, in memory."""
        with self._errors(_checked(key)):
            result = await self._obstore.get_async(self._store, key)
            return bytes(await result.bytes_async())

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        """The content of an object, in blocks of about 256 KiB."""
        with self._errors(_checked(key)):
            result = await self._obstore.get_async(self._store, key)
            async for block in result.stream(min_chunk_size=BLOCK):
                yield bytes(block)

    async def size(self, key: str) -> int:
        """The size of an object, in bytes."""
        with self._errors(_checked(key)):
            return int((await self._obstore.head_async(self._store, key))["size"])

    async def delete(self, key: str) -> None:
        """Delete an object. One that does not exist is no error."""
        with self._errors(_checked(key), missing_is_fine=True):
            await self._obstore.delete_async(self._store, key)

    async def download_url(self, key: str, *, expires: float = 300.0) -> str:
        """A URL by which anybody can download the object, for so many seconds. It does not check that there is one."""
        return await self._signed("GET", key, expires)

    async def upload_url(self, key: str, *, expires: float = 300.0) -> str:
        """A URL to which anybody can PUT the object, for so many seconds, of any size and type: check it afterwards."""
        return await self._signed("PUT", key, expires)

    async def _signed(self, method: str, key: str, expires: float) -> str:
        if self._address.folder:
            raise ResourceError(f"A folder has no signed URLs. Set {self._setting} to a bucket: s3://….")
        with self._errors(_checked(key)):
            return str(await self._obstore.sign_async(self._store, method, key, timedelta(seconds=expires)))

    @property
    def _store(self) -> Any:
        if self._opened is None:
            raise NotOpenError("The storage is not open. Pass it to create_app(…, resources=(storage,)).")
        return self._opened

    @contextmanager
    def _errors(self, key: str, *, missing_is_fine: bool = False) -> Iterator[None]:
        """Translate the errors of obstore, whose texts have whole requests."""
        from obstore import exceptions

        try:
            yield
        except (exceptions.NotFoundError, FileNotFoundError) as exc:
            if not missing_is_fine:
                raise ObjectNotFound(f"The storage has no object {key!r}.") from exc
        except exceptions.AlreadyExistsError as exc:
            raise FileExistsError(f"The storage has an object {key!r}.") from exc
        except (exceptions.BaseError, OSError) as exc:
            raise ResourceError(
                f"The storage does not answer, or refuses this ({type(exc).__name__}). Check it, and {self._setting}."
            ) from exc


def _checked(key: str) -> str:
    if not key or INVALID_KEY.search(key):
        raise ValueError(f"The key {key!r} is not the key of an object. Write one such as avatars/7.png.")
    return key


def _store(address: StorageAddress, timeout: float) -> Any:
    from obstore.store import LocalStore, S3Store

    if address.folder:
        return LocalStore(address.folder, mkdir=True)
    return S3Store(
        address.bucket,
        prefix=address.prefix or None,
        endpoint=address.endpoint,
        region=address.region,
        virtual_hosted_style_request=address.virtual,
        client_options={
            "allow_http": address.endpoint.startswith("http:"),
            "connect_timeout": timedelta(seconds=timeout),
            "timeout": timedelta(minutes=10),
        },
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=10)},
        **address.credentials,
    )
