"""Which view lives at which path."""

from sanic import Blueprint

from shop.config import config
from shop.interface.cached import CachedAPI
from shop.interface.greeting import JsonAPI, PlaintextAPI
from shop.interface.item import DictionariesAPI, ItemAPI, ItemsAPI, ModelsAPI, TwentyAPI
from shop.interface.many import attach_view
from shop.interface.note import NotesAPI
from shop.interface.order import OrdersAPI
from shop.interface.socket import EchoWS, RoomWS

http = Blueprint("http")
PlaintextAPI.attach(http, "/plaintext")
JsonAPI.attach(http, "/json")
OrdersAPI.attach(http, "/orders")
ItemAPI.attach(http, "/items/<key:int>")
TwentyAPI.attach(http, "/twenty/<first:int>")
DictionariesAPI.attach(http, "/dictionaries")
ModelsAPI.attach(http, "/models")
ItemsAPI.attach(http, "/pages")
NotesAPI.attach(http, "/notes")
CachedAPI.attach(http, "/cached/<key:int>")
for number in range(config.VIEWS):
    attach_view(http, number)

ws = Blueprint("ws")
EchoWS.attach(ws, "/echo")
RoomWS.attach(ws, "/room")
