"""Error codes: numbers by which programs distinguish the errors of a request."""

from sanicbase.codes.code import CodedError, ErrorCode, error_codes
from sanicbase.codes.statuses import StatusError, status_code

__all__ = ["CodedError", "ErrorCode", "StatusError", "error_codes", "status_code"]
