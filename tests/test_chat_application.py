"""The chat's own rules, without a server: what it lets aboard, and what it says back. Its conversations are in
test_chat_in_a_browser.py."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from examples.chat.app import Participant, Refused, answer, application

SECRET = "0123456789abcdef"


def participant(**given: str) -> Participant:
    return Participant.from_query(urlencode({"room": "lock", "name": "Ada", "secret": SECRET, **given}).encode())


async def get(path: str, method: str = "GET", root_path: str = "") -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    await application({"type": "http", "method": method, "path": path, "root_path": root_path}, receive, send)
    start, *bodies = sent
    return start["status"], dict(start["headers"]), b"".join(body["body"] for body in bodies)


@pytest.mark.parametrize("name", ["Ada", "Ada  Lovelace", "Ünïcödé 船", "x" * 24])
def test_a_name_that_people_have_is_taken(name: str) -> None:
    """Runs of spaces become one; nothing else changes."""
    assert participant(name=name).name == " ".join(name.split())


@pytest.mark.parametrize(
    "given",
    [
        {"name": ""},
        {"name": "   "},
        {"name": "x" * 25},
        {"name": "turned\u202earound"},
        {"room": ""},
        {"room": "Lock"},
        {"room": "lock\n"},
        {"room": "x" * 41},
        {"room": "../lock"},
        {"secret": ""},
        {"secret": "x" * 65},
    ],
)
def test_who_may_not_come_aboard_hears_why(given: dict[str, str]) -> None:
    """The reason fits into a close frame, which holds 123 bytes."""
    with pytest.raises(Refused) as refusal:
        participant(**given)
    assert 0 < len(str(refusal.value).encode()) <= 123


@pytest.mark.parametrize("query", [b"\xff", b"", b"room=lock", b"name=%ff&room=lock&secret=0123456789abcdef"])
def test_a_query_that_is_no_query_is_refused(query: bytes) -> None:
    """Never an exception that ends in a log."""
    with pytest.raises(Refused):
        Participant.from_query(query)


def test_the_same_page_is_the_same_person_and_its_secret_stays_with_it() -> None:
    """Others learn the name and an id that follows from the secret; from the id nothing follows."""
    ada = participant()
    assert ada.id == participant(name="Ada L.").id != participant(secret=SECRET[::-1]).id
    assert SECRET not in ada.event("joined")["text"]


def test_a_message_reaches_the_room_with_the_name_that_its_sender_came_with() -> None:
    """What a page claims about itself in a message is not repeated."""
    heard = answer(participant(), json.dumps({"kind": "say", "text": " hello\n", "ref": 7, "name": "Grace", "id": "x"}))
    said = json.loads(heard["text"])
    assert heard["type"] == "websocket.send"
    assert (said["kind"], said["text"], said["ref"], said["name"]) == ("said", "hello", 7, "Ada")


def test_half_a_character_in_a_text_does_not_end_the_conversation() -> None:
    """JSON can say a lone surrogate, UTF-8 cannot: it travels escaped."""
    heard = answer(participant(), '{"kind": "say", "text": "\\ud83d", "ref": 1}')
    assert heard["text"].encode("utf-8").count(b"\\ud83d") == 1


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "[]",
        "7",
        "null",
        "{",
        "[" * 16_000,
        '{"kind": "say"}',
        '{"kind": "say", "text": 7}',
        '{"kind": "say", "text": "   "}',
        '{"kind": "say", "text": "x", "ref": "1"}',
        '{"kind": "say", "text": "x", "ref": -1}',
        '{"kind": "said", "text": "x"}',
        '{"kind": ["say"], "text": "x"}',
        json.dumps({"kind": "say", "text": "x" * 2_001}),
        json.dumps({"kind": "here", "padding": "x" * 20_000}),
    ],
)
def test_what_the_page_would_not_send_is_refused(text: str | None) -> None:
    """The socket is closed with a reason; no traceback, no word to the room."""
    with pytest.raises(Refused):
        answer(participant(), text)


async def test_the_page_brings_all_that_it_needs_with_it() -> None:
    """Every file that the page names is served by the application itself."""
    status, headers, page = await get("/")
    assert (status, headers[b"content-type"]) == (200, b"text/html; charset=utf-8")
    assert b"http://" not in page.replace(b"http://www.w3.org/2000/svg", b"")
    assert b"https://" not in page
    for name in ("/chat.css", "/scene.css", "/chat.js", "/connection.js", "/horses.js", "/log.js", "/people.js"):
        assert (await get(name))[0] == 200, name


async def test_what_is_not_there_is_not_found_and_the_page_is_only_read() -> None:
    """A path is a key of a dict, never of the file system."""
    assert (await get("/../app.py"))[0] == 404
    assert (await get("/", "POST"))[0] == 405
    status, headers, body = await get("/", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers[b"content-length"]) > 0
    assert (await get("/canal/chat.css", root_path="/canal"))[0] == 200
