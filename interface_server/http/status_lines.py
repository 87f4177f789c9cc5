"""Status lines of HTTP/1.1, for responses and for handshakes."""

from __future__ import annotations

from http import HTTPStatus

#: All possible status lines: 800 small ones are cheaper than a check for each response.
STATUS_LINES = {
    status: f"HTTP/1.1 {status} {HTTPStatus(status).phrase if status in set(HTTPStatus) else ''}\r\n".encode()
    for status in range(100, 1000)
}
