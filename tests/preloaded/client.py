"""`client.py SOCKET WORDS…`: has the server run a program, and ends as it does."""

import json
import os
import socket
import sys

with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    asked = json.dumps({"words": sys.argv[2:], "env": dict(os.environ)}).encode()
    here = os.open(".", os.O_RDONLY)
    socket.send_fds(connection, [len(asked).to_bytes(4, "big")], [0, 1, 2, here])
    connection.sendall(asked)
    ended = connection.recv(1)
sys.exit(ended[0] if ended else "The server of the tests is gone.")
