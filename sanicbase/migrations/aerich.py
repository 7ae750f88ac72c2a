"""What Tortoise imports beside aerich's model: by it the `aerich` command and every service have this room.

`Config` names this module among the models of each service, as it names the database engines.
"""

from aerich.models import Aerich

__all__: list[str] = []

__models__ = [Aerich]
