"""Rate limits of views, and the brake on failed sign-ins."""

from sanicbase.http.limits.brake import SignInBrake
from sanicbase.http.limits.identity import address, header, user
from sanicbase.http.limits.rate_limit import RateLimit

__all__ = ["RateLimit", "SignInBrake", "address", "header", "user"]
