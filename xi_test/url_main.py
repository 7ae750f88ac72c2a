"""The routes: each view with its path."""

from sanic import Blueprint

from xi_test.interface.account import accounts
from xi_test.interface.article import ArticleAPI, ArticleBySlugAPI, ArticlesAPI
from xi_test.interface.comment import CommentAPI, CommentsAPI
from xi_test.interface.echo import EchoWS
from xi_test.interface.room import RoomWS
from xi_test.script.first_user import first_user

http = Blueprint("http", url_prefix="/xi_test")
http.before_server_start(first_user)
ArticlesAPI.attach(http, "/articles")
ArticleAPI.attach(http, "/articles/<article_id:int>")
ArticleBySlugAPI.attach(http, "/articles/by-slug/<slug:str>")
CommentsAPI.attach(http, "/articles/<article_id:int>/comments")
CommentAPI.attach(http, "/articles/<article_id:int>/comments/<comment_id:int>")
accounts.attach(http, "/auth")

ws = Blueprint("ws", url_prefix="/xi_test")
EchoWS.attach(ws, "/echo")
RoomWS.attach(ws, "/room/<name:str>")
