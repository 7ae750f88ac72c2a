"""The contract's paths."""

from sanic import Blueprint

from conduit.interface.article import ArticleAPI, ArticlesAPI
from conduit.interface.user import CurrentUserAPI, UsersAPI

http = Blueprint("http", url_prefix="/api")
UsersAPI.attach(http, "/users")
CurrentUserAPI.attach(http, "/user")
ArticlesAPI.attach(http, "/articles")
ArticleAPI.attach(http, "/articles/<slug:str>")
