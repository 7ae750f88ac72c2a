"""Lists in pages: numbered or walked along, filtered and ordered as a class declares."""

from sanicbase.db.pagination.keyset import keyset_page
from sanicbase.db.pagination.page import EstimatedPage, KeysetPage, Page
from sanicbase.db.pagination.queries import KeysetQuery, ListQuery, OffsetQuery, PageQuery, check_list_queries

__all__ = [
    "EstimatedPage",
    "KeysetPage",
    "KeysetQuery",
    "ListQuery",
    "OffsetQuery",
    "Page",
    "PageQuery",
    "check_list_queries",
    "keyset_page",
]
