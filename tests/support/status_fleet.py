"""A fleet under load with its status page in a browser: for the test of the page, and for its picture in the README.

    python -m tests.support.status_fleet docs/images/status.png [dark|phone]

makes that picture anew, from real processes: one of the four workers is blocked by its application, and the page says so.
"""

from __future__ import annotations

import base64
import contextlib
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
from selenium import webdriver
from websockets.sync.client import connect

from tests.support.browser import ChatPage, chromium
from tests.support.serving import BIN, Server, free_port, running, towpath_serve

APPLICATION = """
import asyncio, random, time
from channel_layer import get_channel_layer

async def application(scope, receive, send):
    if scope["type"] == "http":
        if scope["path"].startswith("/block/"):
            time.sleep(float(scope["path"].rpartition("/")[2]))
        await asyncio.sleep(random.uniform(0.01, 0.09))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
    elif scope["type"] == "websocket":
        layer, mine = get_channel_layer(), scope["extensions"]["towpath.channel"]["reply_channel"]
        await receive()
        await send({"type": "websocket.accept"})
        await layer.group_add(scope["path"][1:], mine)
        while (event := await receive())["type"] == "websocket.receive":
            await layer.group_send(scope["path"][1:], {"type": "websocket.send", "text": event["text"]})
"""
#: Width, and whether it is dark.
KINDS = {"": (1180, False), "dark": (1180, True), "phone": (390, False)}


@contextlib.contextmanager
def status_page(server: Server, run_dir: Path) -> Iterator[Server]:
    """`towpath status --serve` beside a running serve."""
    port = free_port()
    command = [BIN / "towpath", "status", "--serve", str(port), "--run-dir", server.run_dir / "run"]
    with running(
        "status", command, run_dir=run_dir, port=port, ready=lambda page: "the status page is at" in page.log
    ) as page:
        yield page


@contextlib.contextmanager
def load(server: Server, clients: int, sockets: int) -> Iterator[None]:
    """Requests without a pause from so many clients, and WebSockets that send to their groups, until the block ends."""
    stopping = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=30) as client:
            while not stopping.is_set():
                with contextlib.suppress(httpx.HTTPError):
                    client.get("/")

    def talk(number: int) -> None:
        with connect(f"{server.websocket_url}/group-{number % 5}", ping_interval=None) as socket:
            while not stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    while True:
                        socket.recv(timeout=1.0)  # in a group there is always another message, or a second without one
                        if stopping.is_set():
                            return
                socket.send("hello")

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    threads += [threading.Thread(target=talk, args=(number,)) for number in range(sockets)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def resize(driver: webdriver.Chrome, width: int, height: int, dark: bool = False) -> None:
    """The size of the page in pixels, and whether the person prefers dark pages."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def make_picture(path: Path, kind: str) -> None:
    """Write the picture of the page."""
    width, dark = KINDS[kind]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="towpath-picture-")))
        (folder / "shop.py").write_text(APPLICATION)
        options = ("--interfaces", "2", "--workers", "4", "--worker-concurrency", "12")
        server = stack.enter_context(towpath_serve("shop:application", run_dir=folder, app_dir=folder, options=options))
        page = ChatPage(stack.enter_context(chromium(folder / "profile")))
        status = stack.enter_context(status_page(server, folder / "status"))
        stack.enter_context(load(server, 12, 30))
        resize(page.driver, width, 800, dark)
        page.open(status.url)
        script = "return requests.length"
        page.wait_until(lambda: page.driver.execute_script(script) > 45, "a minute of history", 120.0)
        blocking = threading.Thread(target=lambda: httpx.post(f"{server.url}/block/9", timeout=60))
        blocking.start()
        script = "return document.querySelector('#findings .sentence').textContent"
        sentence = re.compile(r"blocked for [5-8] s")
        page.wait_until(lambda: sentence.search(page.driver.execute_script(script)) is not None, "the finding", 30.0)
        resize(page.driver, width, 400, dark)
        height = page.driver.execute_script("return document.documentElement.scrollHeight")
        resize(page.driver, width, height, dark)
        shot = page.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
        path.write_bytes(base64.b64decode(shot["data"]))
        blocking.join()


if __name__ == "__main__":
    make_picture(Path(sys.argv[1]), *(sys.argv[2:] or [""]))
