"""Password hashing with Argon2, off the event loop."""

from sanicbase import Passwords

_passwords = Passwords()


async def hash_password(password: str) -> str:
    """Return the hash of a password."""
    return await _passwords.hash(password)


async def verify_password(password: str, password_hash: str | None) -> bool:
    """Verify a password. Without a hash it takes equally long, so that timing does not reveal which accounts exist."""
    return (await _passwords.verify(password, password_hash)).matches
