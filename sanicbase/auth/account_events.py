"""What the owners of accounts are told. Jobs that import these names import nothing of HTTP."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["AccountEvent", "TokenReason"]


class TokenReason(StrEnum):
    """Why a token is sent to an account, or not."""

    REGISTRATION = "registration"
    """Somebody registers the account: the token creates it."""
    ALREADY_REGISTERED = "already_registered"
    """Somebody registers an account that exists: its owner may choose a new password."""
    FORGOTTEN_PASSWORD = "forgotten_password"  # noqa: S105
    """The owner may choose a new password."""
    UNKNOWN_ACCOUNT = "unknown_account"
    """There is no such account, and the token is invalid. Send no message, or one that says so."""


class AccountEvent(StrEnum):
    """What the owner of an account is told, so that they notice when somebody else has done it."""

    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    """The password was changed, or replaced with a token."""
    NEW_DEVICE = "new_device"
    """Somebody signs in with the right password from a device, by its User-Agent, that is not among the latest 50 of
    the account, or has not signed in for JWT_SESSION_TTL."""
