"""Creates the first user when the service starts."""

import sys

from sanicbase import App
from xi_test.config import config
from xi_test.handler.user import ensure_first_user

CURL = """\
  A token for the first user was generated for development. Write an article with it:

curl -X POST http://{host}:{port}/xi_test/articles -H 'Authorization: Bearer {token}' \\
  -H 'Content-Type: application/json' -d '{{"slug": "hello", "title": "Hello"}}'

"""


async def first_user(app: App) -> None:
    """Ensure that the first user exists, and print a new token in a command to paste."""
    if token := await ensure_first_user():
        sys.stdout.write(CURL.format(host=config.HOST, port=config.HTTP_PORT, token=token))
        sys.stdout.flush()
