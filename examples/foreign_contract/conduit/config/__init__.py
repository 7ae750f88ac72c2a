"""The settings of conduit."""

from sanicbase import Config


class ConduitConfig(Config):
    """What conduit sets otherwise than sanicbase."""

    SERVER_NAME = "conduit"
    HTTP_PORT = 8810
    MODEL_EXTRA = []


config = ConduitConfig()
migrate_db = config.migrate_db()
