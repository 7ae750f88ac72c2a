"""Timers and jobs, and commands for `sanicGuider run`."""

from sanicbase import Timer
from xi_test.handler.announcement import announce_article
from xi_test.handler.mail import send_token
from xi_test.script.purge import purge_records

scripts = (
    Timer(purge_records, cron="30 3 * * *", tz="Asia/Shanghai", timeout=600),
    announce_article,
    send_token,
)
