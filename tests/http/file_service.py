"""A launch file that receives and sends large files, in the folder FILES."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from sanic import Blueprint

from sanicbase import Download, FileUpload, Request, Upload, create_app, endpoint, serve
from xi_test.config import config

FOLDER = Path(os.environ.get("FILES", "."))


@endpoint(public=True)
async def upload(request: Request, file: Annotated[FileUpload, Upload(max_size=3 * 2**30, types=None)]) -> int:
    await file.save(FOLDER / "saved", overwrite=True)
    return file.size


@endpoint(public=True)
async def download(request: Request) -> Download:
    return Download(FOLDER / "saved")


http = Blueprint("files")
upload.attach(http, "/upload", methods=["POST"])
download.attach(http, "/download")
app = create_app(config, http)

if __name__ == "__main__":
    serve(app)
