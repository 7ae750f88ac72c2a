"""`client.py SOCKET WORDS…`: has the server run a program, and ends as it does.

It imports built-in modules only: json and socket would double the time that it takes.
"""

import _socket
import marshal
import os
import sys

connection = _socket.socket(_socket.AF_UNIX)
connection.connect(sys.argv[1])
command = marshal.dumps({"args": sys.argv[2:], "env": dict(os.environ)})
directory = os.open(".", os.O_RDONLY)
streams = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2, directory))  # an array of C's int
connection.sendmsg([len(command).to_bytes(4, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
connection.sendall(command)
ended = connection.recv(1)
sys.exit(ended[0] if ended else "The server of the tests is gone.")
