"""The settings of conduit, and its database as aerich takes it."""

from sanicbase import Config


class ConduitConfig(Config):
    """What conduit sets otherwise than sanicbase, and settings of its own."""

    SERVER_NAME = "conduit"
    HTTP_PORT = 8810
    MODEL_EXTRA = []
    API_TITLE = "Conduit"

    TOKEN_SECRET: str = ""
    """What tokens are signed with. In dev and test, where it is empty, one is made at random; prod refuses to start."""
    TOKEN_DAYS: int = 60
    """How long a token is good, in days."""


config = ConduitConfig()
migrate_db = config.migrate_db()
