"""What can go wrong with a request, as numbers that programs can tell apart."""

from sanicbase.codes.code import CodedError, ErrorCode, error_codes
from sanicbase.codes.statuses import StatusError, status_code

__all__ = ["CodedError", "ErrorCode", "StatusError", "error_codes", "status_code"]
