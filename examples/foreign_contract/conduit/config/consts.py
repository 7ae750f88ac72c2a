"""The maximum lengths of columns and request fields."""

USERNAME_LENGTH = 40
EMAIL_LENGTH = 254
PASSWORD_LENGTH = 200
BIO_LENGTH = 1_000
IMAGE_LENGTH = 1_000
TITLE_LENGTH = 120
SLUG_LENGTH = 250  # lower() can turn one character into two
DESCRIPTION_LENGTH = 500
BODY_LENGTH = 100_000
COMMENT_LENGTH = 5_000
TAG_LENGTH = 40
MAX_TAGS = 20  # of an article
MAX_KEY = 2**31 - 1
