"""Tables that another service migrates. xi_test uses them, and its migrations do not change them."""

from tortoise import fields
from tortoise.models import Model

from xi_test.config.consts import WORD_LENGTH


class BannedWord(Model):
    """A word that comments must not contain. The moderation service maintains the table."""

    word = fields.CharField(max_length=WORD_LENGTH, primary_key=True)

    class Meta:
        table = "moderation_word"
