"""Alerts: what an operator needs to know at once, sent once when it begins and once when it ends."""

from sanicbase.alerts.alert import Alert, AlertHook, AlertKind
from sanicbase.alerts.reporting import report_begun, report_ended, report_event

__all__ = ["Alert", "AlertHook", "AlertKind", "report_begun", "report_ended", "report_event"]
