"""Constants that several packages of xi_test share."""

FIRST_USER = "admin"
NAME_LENGTH = 254
SLUG_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
SLUG_LENGTH = 80
TITLE_LENGTH = 200
MAX_KEY = 2**31 - 1
BODY_LENGTH = 100_000
COMMENT_LENGTH = 2_000
WORD_LENGTH = 40
RECORDS_KEPT_DAYS = 90
ARTICLES_ROOM = "articles"  # in which subscribers are told of new articles
