"""A plain ASGI 3 application that does what applications should not do, and tells how it went.

Each path is one oddity. What an instance saw is put under the name that the query gives; `/heard?name` waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import bells

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def start(send: Send, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def part(send: Send, body: bytes, more_body: bool = False) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more_body})


async def answer(send: Send, text: str, status: int = 200) -> None:
    await start(send, status, (b"content-type", b"text/plain"), (b"content-length", str(len(text.encode())).encode()))
    await part(send, text.encode())


def name_of(error: BaseException) -> str:
    """What tells an application whose fault it was: is it an OSError or not, and its words."""
    kind = "OSError" if isinstance(error, OSError) else "error"
    return f"{kind}: {type(error).__name__}: {error}"


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, "hello")


async def heard(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, await bells.heard(scope["query_string"].decode()))


async def ring(scope: Scope, receive: Receive, send: Send) -> None:
    bells.ring(scope["query_string"].decode())
    await answer(send, "")


async def raises(scope: Scope, receive: Receive, send: Send) -> None:
    raise LookupError("raised before the start")


async def raises_after_start(scope: Scope, receive: Receive, send: Send) -> None:
    await start(send)
    raise LookupError("raised after the start")


async def raises_in_body(scope: Scope, receive: Receive, send: Send) -> None:
    await start(send)
    await part(send, b"half of it", more_body=True)
    raise LookupError("raised in the body")


async def raises_at_the_end(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, "all of it")
    raise LookupError("raised after the end")


async def returns_early(scope: Scope, receive: Receive, send: Send) -> None:
    return


async def returns_in_body(scope: Scope, receive: Receive, send: Send) -> None:
    await start(send)
    await part(send, b"half of it", more_body=True)


async def too_short(scope: Scope, receive: Receive, send: Send) -> None:
    await start(send, 200, (b"content-length", b"100"))
    await part(send, b"short")


async def too_long(scope: Scope, receive: Receive, send: Send) -> None:
    await start(send, 200, (b"content-length", b"3"))
    await part(send, b"longer")


async def splits_a_header(scope: Scope, receive: Receive, send: Send) -> None:
    await start(send, 200, (b"x-boat", b"one\r\nx-stowaway: yes"))
    await part(send, b"")


#: What may not be sent at the beginning of an exchange, by the name in the query.
NONSENSE: dict[str, Any] = {
    "unknown-type": {"type": "odd.event"},
    "no-type": {"status": 200},
    "not-a-dict": "http.response.start",
    "body-first": {"type": "http.response.body", "body": b"too soon"},
    "websocket-event": {"type": "websocket.send", "text": "wrong protocol"},
    "text-body": {"type": "http.response.start", "status": "200"},
    "text-header": {"type": "http.response.start", "status": 200, "headers": [("x-boat", "not bytes")]},
    "set-value": {"type": "http.response.start", "status": 200, "headers": {b"x"}},
}


async def nonsense(scope: Scope, receive: Receive, send: Send) -> None:
    """Send it, and answer with what `send()` raised: nothing of it may have reached the client."""
    try:
        await send(NONSENSE[scope["query_string"].decode()])
    except Exception as error:
        await answer(send, name_of(error))
    else:
        await answer(send, "send() raised nothing")


async def sends_too_much(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, "complete")
    try:
        await part(send, b"more")
    except Exception as error:
        bells.ring(scope["query_string"].decode(), name_of(error))
    else:
        bells.ring(scope["query_string"].decode(), "send() raised nothing")


async def deaf(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, "did not listen", 403)


async def hesitant(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body only once the bell has rung."""
    name = scope["query_string"].decode()
    bells.ring(f"{name}-started")
    await bells.heard(f"{name}-go")
    size, more = 0, True
    while more:
        event = await receive()
        size += len(event.get("body", b""))
        more = event.get("more_body", False)
    await answer(send, str(size))


async def background(scope: Scope, receive: Receive, send: Send) -> None:
    name = scope["query_string"].decode()
    await receive()
    await answer(send, "answered")
    after = (await receive())["type"]
    await bells.heard(f"{name}-go")
    bells.ring(name, after)


async def waits(scope: Scope, receive: Receive, send: Send) -> None:
    """Says what it sees when the client leaves while it waits."""
    name = scope["query_string"].decode()
    await start(send)
    await part(send, b"here you are", more_body=True)
    seen = []
    while not seen or seen[-1] != "http.disconnect":
        seen.append((await receive())["type"])
    seen.append((await receive())["type"])
    try:
        await part(send, b"anybody there?", more_body=True)
    except Exception as error:
        seen.append(name_of(error))
    bells.ring(name, " ".join(seen))


async def reads_a_cut_upload(scope: Scope, receive: Receive, send: Send) -> None:
    name = scope["query_string"].decode()
    bells.ring(f"{name}-started")
    event = await receive()
    while event["type"] == "http.request" and event.get("more_body"):
        event = await receive()
    bells.ring(name, event["type"])


async def pours(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends without end, until `send()` raises."""
    await start(send)
    try:
        while True:
            await part(send, b"." * 50_000, more_body=True)
    except Exception as error:
        bells.ring(scope["query_string"].decode(), name_of(error))
        raise


async def body_of_none(scope: Scope, receive: Receive, send: Send) -> None:
    """A body with a status that knows none."""
    await start(send, int(scope["query_string"]), (b"content-type", b"text/plain"))
    await part(send, b"should not be seen")


async def ws_deny(scope: Scope, receive: Receive, send: Send) -> None:
    assert "websocket.http.response" in scope["extensions"]
    headers = [(b"x-gate", b"shut"), (b"content-type", b"text/plain")]
    await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"no ", "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b"ticket"})


async def ws_reject(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close"})


async def ws_accepted(receive: Receive, send: Send) -> None:
    assert (await receive()) == {"type": "websocket.connect"}
    await send({"type": "websocket.accept"})


async def ws_raise(scope: Scope, receive: Receive, send: Send) -> None:
    await ws_accepted(receive, send)
    await receive()
    raise LookupError("raised in an open socket")


async def ws_return(scope: Scope, receive: Receive, send: Send) -> None:
    await ws_accepted(receive, send)
    await receive()


async def ws_close(scope: Scope, receive: Receive, send: Send) -> None:
    await ws_accepted(receive, send)
    code, _, reason = scope["query_string"].decode().partition("-")
    await send({"type": "websocket.close", "code": int(code), "reason": reason})


async def ws_echo(scope: Scope, receive: Receive, send: Send) -> None:
    await ws_accepted(receive, send)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
    ended = f"{message['code']} {message.get('reason') or ''}"
    try:
        await send({"type": "websocket.send", "text": "anybody there?"})
    except Exception as error:
        ended += f" {name_of(error)}"
    bells.ring(scope["query_string"].decode(), ended)


async def ws_nonsense(scope: Scope, receive: Receive, send: Send) -> None:
    await ws_accepted(receive, send)
    answers = []
    for event in (
        {"type": "odd.event"},
        {"type": "websocket.send"},
        {"type": "websocket.send", "text": b"bytes"},
        {"type": "websocket.accept"},
        {"type": "http.response.start", "status": 200},
    ):
        try:
            await send(event)
        except Exception:
            answers.append("raised")
        else:
            answers.append("taken")
    await send({"type": "websocket.send", "text": " ".join(answers)})
    await send({"type": "websocket.close"})


async def ws_data_first(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends before it accepts: refused inside, and the socket may still be accepted."""
    await receive()
    try:
        await send({"type": "websocket.send", "text": "too soon"})
    except Exception as error:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": name_of(error)})
    await send({"type": "websocket.close"})


HTTP: dict[str, Any] = {
    "/": hello,
    "/heard": heard,
    "/ring": ring,
    "/raises": raises,
    "/raises-after-start": raises_after_start,
    "/raises-in-body": raises_in_body,
    "/raises-at-the-end": raises_at_the_end,
    "/returns-early": returns_early,
    "/returns-in-body": returns_in_body,
    "/too-short": too_short,
    "/too-long": too_long,
    "/splits-a-header": splits_a_header,
    "/nonsense": nonsense,
    "/sends-too-much": sends_too_much,
    "/deaf": deaf,
    "/hesitant": hesitant,
    "/background": background,
    "/waits": waits,
    "/cut-upload": reads_a_cut_upload,
    "/pours": pours,
    "/body-of-none": body_of_none,
}

WEBSOCKET: dict[str, Any] = {
    "/deny": ws_deny,
    "/reject": ws_reject,
    "/raises": raises,
    "/returns-early": returns_early,
    "/raise": ws_raise,
    "/return": ws_return,
    "/close": ws_close,
    "/echo": ws_echo,
    "/nonsense": ws_nonsense,
    "/data-first": ws_data_first,
}


async def made_at_import() -> None:
    bells.ring("made-at-import")


#: Under uvicorn it belongs to a loop that never runs.
task = asyncio.get_event_loop().create_task(made_at_import())


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        raise NotImplementedError("no lifespan here")
    await (HTTP if scope["type"] == "http" else WEBSOCKET)[scope["path"]](scope, receive, send)
