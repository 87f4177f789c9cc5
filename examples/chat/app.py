"""A chat whose people stay while the workers behind it change.

A room is a group, and the members of the group are sockets: `group_send` goes straight to each of them, and no worker
takes part in the delivery. So a worker remembers nothing between two events but its participant, which stands in the
address of the socket: when a worker leaves, the next one takes the open socket over, and the page sees another badge. When a
worker dies, its sockets end with 1012, the page comes back with the same name and room, and the talk goes on.

Only the pages know the participants: each page sends "here" now and then, and drops those from which it has not heard for a while.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from channel_layer import get_channel_layer

Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

ROOM = re.compile(r"[a-z0-9-]{1,40}")
NAME_LENGTH_MAX = 24
TEXT_LENGTH_MAX = 2_000
FRAME_LENGTH_MAX = 16_384  #: 2 000 characters, each at its longest in JSON, and the names of the fields
REFUSED = 4400  #: close code for what the page should not have sent; the reason says what
COMES_BACK = frozenset({1012, 1013})  #: closes after which the page connects again: the participant has not left

#: Names this process to people. In containers every process may be number 1, so the host belongs to it.
WORKER = {"host": socket.gethostname(), "pid": os.getpid()}

FOLDER = Path(__file__).parent / "page"
TYPES = {".html": b"text/html", ".css": b"text/css", ".js": b"text/javascript"}
FILES = {f"/{file.name}": (TYPES[file.suffix], file.read_bytes()) for file in FOLDER.iterdir() if file.suffix in TYPES}
FILES["/"] = FILES["/page.html"]
POLICY = b"default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; base-uri 'none'"
HEADERS = [
    (b"cache-control", b"no-cache"),
    (b"content-security-policy", POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
]


async def application(scope: Event, receive: Receive, send: Send) -> None:
    """The ASGI application: one page over HTTP, one conversation per WebSocket at `/socket`."""
    path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
    if scope["type"] == "http":
        await serve_file(scope["method"], path, send)
    elif scope["type"] == "websocket" and path == "/socket":
        await converse(scope, receive, send)
    elif scope["type"] == "websocket":
        await send({"type": "websocket.close"})
    else:
        raise ValueError(f"the chat knows no scope of type {scope['type']}")


async def serve_file(method: str, path: str, send: Send) -> None:
    """Answer with a file of the page's folder, all of which are in memory since the start."""
    if path not in FILES:
        status, kind, body = 404, b"text/plain", b"There is nothing on this bank. The chat is at /\n"
    elif method not in ("GET", "HEAD"):
        status, kind, body = 405, b"text/plain", b"The page can be read, not written.\n"
    else:
        status, (kind, body) = 200, FILES[path]
    own = [(b"content-type", kind + b"; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": own + HEADERS})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})


class Refused(Exception):
    """The page sent what it should not have; the text is for the person in front of it."""


@dataclass(frozen=True, slots=True)
class Participant:
    """A participant in a room.

    `id` follows from a secret of their page: it is the same after each reconnect, and no other page can use it.
    """

    id: str
    name: str
    room: str

    @classmethod
    def from_query(cls, query_string: bytes) -> Participant:
        """Read `room`, `name` and `secret`, or raise Refused."""
        try:
            query = {key: values[0] for key, values in parse_qs(query_string.decode(), errors="strict").items()}
        except (UnicodeDecodeError, ValueError):
            raise Refused("That address cannot be read.") from None
        name, room = " ".join(query.get("name", "").split()), query.get("room", "")
        if not ROOM.fullmatch(room):
            raise Refused("A room has 1 to 40 letters a–z, digits and hyphens.")
        if not 0 < len(name) <= NAME_LENGTH_MAX or not name.isprintable():
            raise Refused(f"A name has 1 to {NAME_LENGTH_MAX} visible characters.")
        if not 16 <= len(query.get("secret", "")) <= 64:
            raise Refused("The page forgot its secret; load it again.")
        return cls(hashlib.blake2s(query["secret"].encode(), digest_size=8).hexdigest(), name, room)

    def event(self, kind: str, **more: Any) -> Event:
        """The event that carries `kind` about this participant to a page."""
        about = {"kind": kind, "id": self.id, "name": self.name, "worker": WORKER, **more}
        # Escaped to ASCII on purpose: half a surrogate pair in a text then reaches the pages as it came.
        return {"type": "websocket.send", "text": json.dumps(about, separators=(",", ":"))}


def answer(participant: Participant, text: str | None) -> Event:
    """What the room hears when the page of `participant` sends `text`. Raises Refused."""
    if text is None or len(text) > FRAME_LENGTH_MAX:
        raise Refused("That was not a message of this page.")
    try:
        message = json.loads(text)
        kind, words, ref = message["kind"], message.get("text", ""), message.get("ref", 0)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise Refused("That was not a message of this page.") from None
    if kind in ("here", "typing"):
        return participant.event(kind)
    if kind != "say" or not isinstance(words, str) or not isinstance(ref, int) or not 0 <= ref < 2**53:
        raise Refused("That was not a message of this page.")
    if not 0 < len(words.strip()) <= TEXT_LENGTH_MAX:
        raise Refused(f"A message has 1 to {TEXT_LENGTH_MAX} characters.")
    return participant.event("said", text=words.strip(), ref=ref, at=int(time.time() * 1000))


async def converse(scope: Event, receive: Receive, send: Send) -> None:
    """One WebSocket from its first event to its last."""
    await receive()
    await send({"type": "websocket.accept", "resumable": True})
    resumed = "state" in scope["extensions"]["towpath.resume"]
    try:
        participant = Participant.from_query(scope["query_string"])
        await stay(participant, scope["extensions"]["towpath.channel"]["reply_channel"], receive, send, resumed)
    except Refused as refusal:
        await send({"type": "websocket.close", "code": REFUSED, "reason": str(refusal)})


async def stay(participant: Participant, reply_channel: str, receive: Receive, send: Send, resumed: bool) -> None:
    """Be a member of the room until the socket ends, or until Refused says that it should.

    resumed: the socket is open since an earlier worker, and the client has not noticed.
    """
    layer, group, code = get_channel_layer(), f"chat.{participant.room}", 1012
    await layer.group_add(group, reply_channel)
    try:
        await send(participant.event("welcome"))
        await layer.group_send(group, participant.event("here" if resumed else "joined"))
        while (event := await receive())["type"] == "websocket.receive":
            await layer.group_send(group, answer(participant, event.get("text")))
        code = event.get("code", 1005)
    except Refused:
        code = REFUSED
        raise
    finally:
        await layer.group_discard(group, reply_channel)
        if code not in COMES_BACK:
            await layer.group_send(group, participant.event("left"))
