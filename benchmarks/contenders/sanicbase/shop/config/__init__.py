"""The settings of shop."""

import os

from sanicbase import Config


class ShopConfig(Config):
    """Both services have the port, the database and the Redis that the harness names."""

    SERVER_NAME = "shop"
    HTTP_PORT = int(os.environ["PORT"])
    WS_PORT = HTTP_PORT
    DB_URL = os.environ["DB_URL"]
    REDIS_URL = os.environ["REDIS_URL"]

    VIEWS: int = int(os.environ["VIEWS"])
    """How many views there are at `/views`."""


config = ShopConfig()
migrate_db = config.migrate_db()
