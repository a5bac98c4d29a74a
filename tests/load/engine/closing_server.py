"""A server that closes connections in every way: ``closing_server.py ACTION,ACTION,...``.

It prints its port, serves until a line comes on standard input, and prints how often it saw each request, as JSON:
requests have a header ``x-number``. A request counts as seen when its head was read.
"""

from __future__ import annotations

import json
import random
import socket
import struct
import sys
import threading
import time
from collections import Counter

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
UNASKED = b"HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\nof nobody"
SEEN: Counter[str] = Counter()
CHANCE = random.Random(7)
LOCK = threading.Lock()


def serve(connection: socket.socket, actions: list[str]) -> None:
    data = b""
    with connection:
        try:
            while True:
                while b"\r\n\r\n" not in data:
                    received = connection.recv(65_536)
                    if not received:
                        return
                    data += received
                head, _, data = data.partition(b"\r\n\r\n")
                lines = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
                with LOCK:
                    SEEN[lines["x-number"]] += 1
                    action = CHANCE.choice(actions)
                if action == "head_close":
                    return
                length = int(lines.get("content-length", 0))
                while len(data) < length:
                    received = connection.recv(65_536)
                    if not received:
                        return
                    data += received
                data = data[length:]
                if not act(connection, action):
                    return
        except OSError:
            return


def act(connection: socket.socket, action: str) -> bool:
    """Answer as *action* says; False if the connection ends."""
    if "reset" in action:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if action in ("close", "reset"):
        return False
    connection.sendall(ANSWER)
    if action in ("answer_close", "answer_reset"):
        return False
    if action == "unasked":
        time.sleep(0.001)
        connection.sendall(UNASKED)
    return True


def main(actions: list[str]) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=500)
    print(listener.getsockname()[1], flush=True)

    def accept() -> None:
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0], actions), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.readline()
    with LOCK:
        print(json.dumps(SEEN), flush=True)


main(sys.argv[1].split(","))
