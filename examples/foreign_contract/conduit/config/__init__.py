"""The settings of conduit, and its database in aerich's format."""

from sanicbase import Config


class ConduitConfig(Config):
    """Overrides of sanicbase's defaults, and settings specific to conduit."""

    SERVER_NAME = "conduit"
    HTTP_PORT = 8810
    MODEL_EXTRA = []
    API_TITLE = "Conduit"
    CORS_ORIGINS = ["*"]  # its front ends are at any origin, and send a token but no cookie

    TOKEN_SECRET: str = ""
    """The secret that signs tokens. If it is empty, dev and test generate a random one; prod refuses to start."""
    TOKEN_DAYS: int = 60
    """The lifetime of a token, in days."""


config = ConduitConfig()
migrate_db = config.migrate_db()
