"""Passwords: Argon2, in a thread, because a hash takes as long as many requests do."""

import asyncio

from pwdlib import PasswordHash

_hasher = PasswordHash.recommended()
_NOBODYS = _hasher.hash("nobody has this password")


async def hash_password(password: str) -> str:
    """What is kept of a password."""
    return await asyncio.to_thread(_hasher.hash, password)


async def is_password(password: str, kept: str | None) -> bool:
    """Whether it is that password. It takes as long where nothing is kept: time does not tell who has an account."""
    fits = await asyncio.to_thread(_hasher.verify, password, kept or _NOBODYS)
    return fits and kept is not None
