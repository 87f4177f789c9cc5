"""Status lines of HTTP/1.1, for responses and for handshakes."""

from __future__ import annotations

from http import HTTPStatus

#: All status lines that there can be: 800 small ones are cheaper than a question for each response.
STATUS_LINES = {
    status: f"HTTP/1.1 {status} {HTTPStatus(status).phrase if status in set(HTTPStatus) else ''}\r\n".encode()
    for status in range(100, 1000)
}
