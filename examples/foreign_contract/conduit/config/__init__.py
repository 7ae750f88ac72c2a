"""The settings of conduit, and the database configuration for aerich."""

from sanicbase import Config


class ConduitConfig(Config):
    """The settings of conduit: overridden defaults, and settings of its own."""

    SERVER_NAME = "conduit"
    HTTP_PORT = 8810
    MODEL_EXTRA = []
    API_TITLE = "Conduit"

    TOKEN_SECRET: str = ""
    """The key that signs tokens. If it is empty, a random one is generated in dev and test; prod does not start."""
    TOKEN_DAYS: int = 60
    """The lifetime of a token, in days."""


config = ConduitConfig()
migrate_db = config.migrate_db()
