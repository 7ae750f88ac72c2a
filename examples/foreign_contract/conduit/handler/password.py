"""Password hashing with Argon2, in a thread because a hash takes longer than many requests."""

import asyncio

from pwdlib import PasswordHash

_hasher = PasswordHash.recommended()
_DUMMY_HASH = _hasher.hash("dummy password")


async def hash_password(password: str) -> str:
    """Return the hash of a password."""
    return await asyncio.to_thread(_hasher.hash, password)


async def verify_password(password: str, password_hash: str | None) -> bool:
    """Verify a password. Without a hash it takes equally long, so that timing does not reveal which accounts exist."""
    matches = await asyncio.to_thread(_hasher.verify, password, password_hash or _DUMMY_HASH)
    return matches and password_hash is not None
