"""A server that answers well at first, and then with a status of failure, in answers that are as long as the good ones."""

from __future__ import annotations

import socketserver

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, world!"
BAD = b"HTTP/1.1 503 NO\r\nContent-Length: 13\r\n\r\nHello, world!"
GOOD_ANSWERS = 5  #: of each connection


class Turncoat(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        answers = 0
        for line in self.rfile:
            if line == b"\r\n":
                answers += 1
                self.wfile.write(GOOD if answers <= GOOD_ANSWERS else BAD)


if __name__ == "__main__":
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Turncoat) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()
