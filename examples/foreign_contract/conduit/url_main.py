"""The paths of the contract."""

from sanic import Blueprint

from conduit.interface.article import ArticleAPI, ArticlesAPI, FavoriteAPI, FeedAPI, TagsAPI
from conduit.interface.comment import CommentAPI, CommentsAPI
from conduit.interface.profile import FollowAPI, ProfileAPI
from conduit.interface.user import CurrentUserAPI, LoginAPI, UsersAPI

http = Blueprint("http", url_prefix="/api")
UsersAPI.attach(http, "/users")
LoginAPI.attach(http, "/users/login")
CurrentUserAPI.attach(http, "/user")
ProfileAPI.attach(http, "/profiles/<username:str>")
FollowAPI.attach(http, "/profiles/<username:str>/follow")
ArticlesAPI.attach(http, "/articles")
FeedAPI.attach(http, "/articles/feed")
ArticleAPI.attach(http, "/articles/<slug:str>")
FavoriteAPI.attach(http, "/articles/<slug:str>/favorite")
CommentsAPI.attach(http, "/articles/<slug:str>/comments")
CommentAPI.attach(http, "/articles/<slug:str>/comments/<comment_id:int>")
TagsAPI.attach(http, "/tags")
