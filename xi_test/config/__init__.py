"""The settings of xi_test, and the database configuration for aerich."""

from sanicbase import Config


class XiTestConfig(Config):
    """The settings of xi_test: overridden defaults, and settings of its own."""

    SERVER_NAME = "xi_test"
    SERVER_ID = 1
    HTTP_PORT = 8800
    WS_PORT = 8801
    MODEL_LIST = ["main", "records"]

    JWT_SECRET: str = ""
    """The secret that signs the tokens of people. If it is empty, dev generates one; other environments need it."""
    ADMIN_TOKEN: str | None = None
    """The first user's token. If it is not set, a random one is generated in dev, and printed once."""
    PAGE_SIZE: int = 20
    """The number of articles or comments on a page."""


config = XiTestConfig()
migrate_db = config.migrate_db()
