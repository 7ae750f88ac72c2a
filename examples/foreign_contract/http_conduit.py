"""The HTTP service with an external contract: `python http_conduit.py`."""

from conduit.config import config
from conduit.contract import MESSAGES, ConduitEnvelope
from conduit.url_main import http
from sanicbase import create_app, serve

app = create_app(config, http, envelope=ConduitEnvelope(), messages=MESSAGES)

if __name__ == "__main__":
    serve(app)
