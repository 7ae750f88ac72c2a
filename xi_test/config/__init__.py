"""The settings of xi_test, and its databases as aerich takes them."""

from sanicbase import Config


class XiTestConfig(Config):
    """What xi_test sets otherwise than sanicbase, and settings of its own."""

    SERVER_NAME = "xi_test"
    SERVER_ID = 1
    HTTP_PORT = 8800
    WS_PORT = 8801
    MODEL_LIST = ["main", "records"]

    ADMIN_TOKEN: str | None = None
    """The first user's token. In dev, where it is not set, one is made at random and printed once."""
    PAGE_SIZE: int = 20
    """How many articles or comments are on a page."""


config = XiTestConfig()
migrate_db = config.migrate_db()
