"""Passwords: Argon2 in a thread, because hashing is slow."""

import asyncio

from pwdlib import PasswordHash

_hasher = PasswordHash.recommended()
_NOBODYS = _hasher.hash("nobody has this password")


async def hash_password(password: str) -> str:
    """Hash a password."""
    return await asyncio.to_thread(_hasher.hash, password)


async def is_password(password: str, kept: str | None) -> bool:
    """Verify a password. Without a hash it takes as long, so that timing does not reveal which accounts exist."""
    fits = await asyncio.to_thread(_hasher.verify, password, kept or _NOBODYS)
    return fits and kept is not None
