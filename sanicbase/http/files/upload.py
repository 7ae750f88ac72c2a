"""A received file, which is on the disk and has no name until it is saved."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from sanicbase.http.files.disk import DiskFile
from sanicbase.http.files.temporary import open_temporary, save_temporary, write_temporary

__all__ = ["FileUpload"]

BLOCK = 262_144  # bytes


class FileUpload:
    """A file of a form. It exists until the view ends: save or read it before.

    `name` is the name that its client sent, for display only: at most 255 bytes, without separators, controls and
    direction marks. It may be empty, and is never a path. `type` is its media type, which was checked against the types
    that the view accepts. `size` is in bytes.
    """

    def __init__(self, name: str, type: str, folder: Path) -> None:  # noqa: A002  (as files of forms have it)
        self.name = name
        self.type = type
        self.size = 0
        self._folder = folder
        self._file: DiskFile | None = None
        self._saved = False

    def __repr__(self) -> str:
        return f"FileUpload(name={self.name!r}, type={self.type!r}, size={self.size})"

    async def read(self) -> bytes:
        """The whole content, in memory."""
        return b"".join([block async for block in self.blocks()])

    async def blocks(self) -> AsyncIterator[bytes]:
        """The content, in blocks of at most 256 KiB."""
        position, file = 0, await self._opened()
        while block := await file.run(os.pread, BLOCK, position):
            yield block
            position += len(block)

    async def save(self, path: Path | str, *, overwrite: bool = False, mode: int = 0o600) -> None:
        """Save the file at that path, in an existing folder, atomically.

        Raises FileExistsError if the path exists, unless `overwrite` is set. `mode` is the permissions of the file.
        """
        file = await self._opened()
        await file.run(save_temporary, Path(path), overwrite=overwrite, mode=mode, copy=self._saved)
        self._saved = True

    async def write(self, data: bytes) -> None:
        """Append received bytes. Raises ResourceError when the disk is full."""
        await (await self._opened()).run(write_temporary, data)
        self.size += len(data)

    def close(self) -> None:
        """Discard the file, unless it was saved."""
        if self._file is not None:
            self._file.close()

    async def _opened(self) -> DiskFile:
        if self._file is None:
            self._file = await DiskFile.open(lambda: open_temporary(self._folder))
        return self._file

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.is_instance_schema(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "format": "binary"}
