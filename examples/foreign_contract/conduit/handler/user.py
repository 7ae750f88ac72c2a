"""Registration, sign-in, profiles and followers."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from conduit.config.errors import ConduitError
from conduit.handler.password import hash_password, verify_password
from conduit.model_db.main import Follow, User
from conduit.model_rc.user import UserRC
from sanicbase import IntegrityError


@dataclass(frozen=True)
class Profile:
    """The profile of a user as a reader sees it."""

    username: str
    bio: str | None
    image: str | None
    following: bool


async def register(username: str, email: str, password: str) -> UserRC:
    """Register a user. Raises USERNAME_TAKEN and EMAIL_TAKEN."""
    password_hash = await hash_password(password)
    with _unique_errors():
        return await UserRC.create(username=username, email=email, password_hash=password_hash)


async def sign_in(email: str, password: str) -> UserRC:
    """Return the user with this e-mail address and password. Raises CREDENTIALS_INVALID."""
    user = await User.get_by_unique(email=email)
    if not await verify_password(password, user.password_hash if user else None) or user is None:
        raise ConduitError.CREDENTIALS_INVALID()
    return await UserRC.get_or_fail(user.id)


async def change_user(user: UserRC, fields: dict[str, str | None]) -> UserRC:
    """Change fields of a user. Raises the same errors as `register`."""
    if password := fields.pop("password", None):
        fields["password_hash"] = await hash_password(password)
    with _unique_errors():
        return await UserRC.update(user.id, **fields) or user


async def profile_of(username: str, reader: UserRC | None) -> Profile:
    """Return the profile of a user. Raises PROFILE_NOT_FOUND."""
    user = await _user_with_name(username)
    return (await profiles_of(reader, [user.id]))[user.id]


async def follow(reader: UserRC, username: str) -> Profile:
    """Follow a user. Idempotent. Raises PROFILE_NOT_FOUND."""
    user = await _user_with_name(username)
    await Follow.upsert({"follower_id": reader.id, "followed_id": user.id}, on=["follower", "followed"])
    return await profile_of(username, reader)


async def unfollow(reader: UserRC, username: str) -> Profile:
    """Unfollow a user. Idempotent. Raises PROFILE_NOT_FOUND."""
    user = await _user_with_name(username)
    await Follow.delete_by({"follower_id": reader.id, "followed_id": user.id})
    return await profile_of(username, reader)


async def profiles_of(reader: UserRC | None, user_ids: Collection[int]) -> dict[int, Profile]:
    """Return the profiles of users: one read of the cache, and one query for the followed users."""
    users = [user for user in await UserRC.get_many(list(set(user_ids))) if user]
    followed = set[int]()
    if reader and users:
        rows = Follow.filter(follower_id=reader.id, followed_id__in=[user.id for user in users])
        followed = {follow.followed_id for follow in await rows}
    return {user.id: Profile(user.username, user.bio, user.image, user.id in followed) for user in users}


async def _user_with_name(username: str) -> UserRC:
    user = await UserRC.get_by(username=username)
    if user is None:
        raise ConduitError.PROFILE_NOT_FOUND()
    return user


@contextmanager
def _unique_errors() -> Iterator[None]:
    """Turn violations of unique columns into USERNAME_TAKEN and EMAIL_TAKEN."""
    try:
        yield
    except IntegrityError as exc:
        if "username" in exc.columns:
            raise ConduitError.USERNAME_TAKEN() from exc
        if "email" in exc.columns:
            raise ConduitError.EMAIL_TAKEN() from exc
        raise
