"""Tables that somebody else migrates: xi_test reads them, and its migrations leave them alone."""

from tortoise import fields
from tortoise.models import Model


class BannedWord(Model):
    """A word that a comment may not hold; the moderators' service keeps the table."""

    word = fields.CharField(max_length=40, primary_key=True)

    class Meta:
        table = "moderation_word"
