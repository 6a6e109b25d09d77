"""web: says who answers, `web.2 on n3, term 7`; the term is that of the last leader whose orders its node obeyed.
HTTP by hand: http.server takes three times as long to start, and five of these start at once."""

import contextlib
import json
import os
import select
import signal
import socket

NAME = "{SWARMTUI_SERVICE}.{SWARMTUI_SLOT} on {SWARMTUI_NODE}".format_map(os.environ)
WAITING_MAX = 100  # connections that have not asked yet: browsers open some in advance


def answer(connection: socket.socket) -> None:
    with connection, open(os.environ["SWARMTUI_NODE_STATE"], encoding="utf-8") as state:
        if connection.recv(65536):
            body = f"{NAME}, term {json.load(state)['term']}\n"
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close"
            connection.sendall(f"{head}\r\n\r\n{body}".encode())


def main() -> None:
    listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=128)
    stop, stopper = socket.socketpair()
    signal.signal(signal.SIGTERM, lambda *_: stopper.close())
    print(f"{NAME}: listening on port {os.environ['PORT']}")
    waiting: list[socket.socket] = []
    while (ready := select.select([listener, stop, *waiting], [], [])[0]) != [stop]:  # stopped: first serve who waits
        if listener in ready:
            waiting = [*waiting, listener.accept()[0]][-WAITING_MAX:]
        for connection in [one for one in ready if one in waiting]:
            waiting.remove(connection)
            with contextlib.suppress(OSError):  # it hung up
                answer(connection)


if __name__ == "__main__":
    main()
