from .access_token import AccessToken
from .account_bodies import SignedInDevice
from .account_events import AccountEvent, TokenReason
from .accounts import Accounts
from .api_keys import APIClient, APIKeys
from .audit import log_audit, record_audit
from .bearer import bearer_token, has_token
from .cookies import SessionCookies
from .external import CodeProvider, ExternalSignIn, Identity, SignInAttempt
from .oidc import OpenIDProvider
from .passwords import PasswordCheck, Passwords
from .policy import Policy
from .random_token import get_or_create_token, token_digest
from .sessions import Device
from .tables import APIKey, AuditRecord, OneTimeToken
from .tokens import TokenPair, Tokens

__all__ = [
    "APIClient",
    "APIKey",
    "APIKeys",
    "AccessToken",
    "AccountEvent",
    "Accounts",
    "AuditRecord",
    "CodeProvider",
    "Device",
    "ExternalSignIn",
    "Identity",
    "OneTimeToken",
    "OpenIDProvider",
    "PasswordCheck",
    "Passwords",
    "Policy",
    "SessionCookies",
    "SignInAttempt",
    "SignedInDevice",
    "TokenPair",
    "TokenReason",
    "Tokens",
    "bearer_token",
    "get_or_create_token",
    "has_token",
    "log_audit",
    "record_audit",
    "token_digest",
]
