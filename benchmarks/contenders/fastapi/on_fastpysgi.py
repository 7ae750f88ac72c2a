"""The same app on fastpysgi, which has no module to be run by."""

import os

import fastpysgi

from app import app

if __name__ == "__main__":
    fastpysgi.run(app, host="127.0.0.1", port=int(os.environ["PORT"]))
