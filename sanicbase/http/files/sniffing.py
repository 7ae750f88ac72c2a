"""Which media types match the first bytes of a file, whatever type its client declares."""

from __future__ import annotations

from codecs import getincrementaldecoder

from sanicbase.http.files.media_types import is_active

__all__ = ["HEAD", "canonical", "fits", "load"]

HEAD = 4096  # bytes that are examined
NO_FOOTER = b"\xa5" * 64  # because these bytes may not be the whole file
SYNONYMS = {
    "application/javascript": "text/javascript",
    "application/x-gzip": "application/gzip",
    "application/x-zip-compressed": "application/zip",
    "audio/mp3": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
}
TEXTS = ("application/json", "application/jsonl", "application/yaml", "application/x-ndjson")  # and text/…


def load() -> None:
    """Load the table of signatures, which takes 20 ms, when a view declares an upload, and not during the first one."""
    import puremagic  # noqa: F401


def fits(kind: str, head: bytes) -> bool:
    """Whether a file that begins with those bytes can be of that type.

    A text has no signature: it must be UTF-8, and neither HTML nor SVG. Any other file must have the signature of its
    type, and not that of a document in which browsers run scripts, unless that is its type.
    """
    types, kind = _signatures(head), canonical(kind)
    active = any(is_active(other) for other in types)
    if active or is_active(kind):
        return active and is_active(kind)
    return kind in types or ((kind.startswith("text/") or kind in TEXTS) and _is_text(head))


def _signatures(head: bytes) -> set[str]:
    import puremagic

    try:
        return {canonical(match.mime_type) for match in puremagic.magic_string(head + NO_FOOTER)}
    except (puremagic.PureError, ValueError):  # none, or no bytes
        return set()


def canonical(kind: str) -> str:
    """The name of a type that has several: Windows sends `application/x-zip-compressed`."""
    kind = kind.lower()
    return SYNONYMS.get(kind, kind)


def _is_text(head: bytes) -> bool:
    try:
        text = getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return "\0" not in text
