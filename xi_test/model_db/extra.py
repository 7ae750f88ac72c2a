"""Tables that somebody else migrates: xi_test reads them, and its migrations leave them alone."""

from tortoise import fields
from tortoise.models import Model

from xi_test.config.consts import WORD_LENGTH


class BannedWord(Model):
    """A word that a comment may not hold; the moderators' service keeps the table."""

    word = fields.CharField(max_length=WORD_LENGTH, primary_key=True)

    class Meta:
        table = "moderation_word"
