"""Lists in pages: numbered or walked along, filtered and ordered as a class declares."""

from sanicbase.db.pages.keyset import keyset_page
from sanicbase.db.pages.listing import KeysetQuery, ListQuery, OffsetQuery, PageQuery, check_lists
from sanicbase.db.pages.page import KeysetPage, Page

__all__ = ["KeysetPage", "KeysetQuery", "ListQuery", "OffsetQuery", "Page", "PageQuery", "check_lists", "keyset_page"]
