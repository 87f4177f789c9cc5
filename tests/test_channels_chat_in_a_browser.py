"""The chat of Channels' tutorial over two workers, as two people use it in their browsers, with a reload in between."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from channel_layer.protocol.keys import Keys as RedisKeys
from tests.support.browser import chromium, needs_chromium
from tests.support.plain_http import PLAIN
from tests.support.redis_server import RedisServer
from tests.support.serving import BIN, Server, environment, towpath_serve

PROJECT = Path(__file__).parents[1] / "examples" / "channels_chat"
DEADLINE_S = 20.0
RELOAD_DEADLINE_S = 90.0
TRIES = 12  #: a newcomer meets either of two workers

pytestmark = needs_chromium


class RoomPage:
    """A room in one browser."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def enter(self, server: Server, name: str) -> None:
        """By the page that asks for a room, as a person does."""
        self.driver.get(f"{server.url}/chat/")
        self.driver.find_element(By.ID, "room").send_keys(name, Keys.ENTER)
        self.wait_until(lambda: self.driver.title == name and self.state == "open", f"in {name}")

    def say(self, text: str) -> None:
        self.driver.find_element(By.ID, "text").send_keys(text, Keys.ENTER)

    @property
    def lines(self) -> list[str]:
        script = "return [...document.querySelectorAll('#lines li')].map((line) => line.textContent)"
        return list(self.driver.execute_script(script))

    @property
    def state(self) -> str:
        return str(self.driver.execute_script("return document.body.dataset.state"))

    @property
    def connections(self) -> int:
        """How often this page has connected."""
        return int(self.driver.execute_script("return document.body.dataset.connections"))

    def wait_for(self, *lines: str) -> None:
        """Until these are all its lines, in this order."""
        self.wait_until(lambda: self.lines == list(lines), f"{lines}")

    def wait_until(self, fact, what: str) -> None:
        wait = WebDriverWait(self.driver, DEADLINE_S, poll_frequency=0.03)
        wait.until(lambda _: fact(), f"not within {DEADLINE_S} s: {what}")


@pytest.fixture(scope="module")
def browsers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RoomPage, RoomPage]]:
    with ExitStack() as stack:
        one, other = (RoomPage(stack.enter_context(chromium(tmp_path_factory.mktemp(name)))) for name in ("a", "g"))
        yield one, other


@contextmanager
def served(redis: RedisServer, prefix: str, folder: Path, options: Sequence[str] = ()) -> Iterator[Server]:
    options = ("--workers", "2", "--redis", redis.url, "--prefix", prefix, *options)
    with towpath_serve("mysite.asgi", run_dir=folder, cwd=PROJECT, options=options) as server:
        yield server


def workers_in(redis: RedisServer, prefix: str, room: str) -> int:
    """How many processes have members of this room."""
    with redis.client() as client:
        ((_, count),) = client.pubsub_numsub(RedisKeys(prefix, 0).group(f"chat.{room}"))
    return int(count)


def enter_over_two_workers(
    server: Server, pages: tuple[RoomPage, RoomPage], redis: RedisServer, prefix: str, room: str
) -> None:
    ada, grace = pages
    ada.enter(server, room)
    for _ in range(TRIES):
        grace.enter(server, room)
        if workers_in(redis, prefix, room) == 2:
            return
    raise AssertionError(f"{TRIES} connections, and all came to one worker")


def test_two_people_talk_in_two_rooms_and_pages_and_commands_speak_too(
    redis_server: RedisServer, prefix: str, tmp_path: Path, browsers: tuple[RoomPage, RoomPage]
) -> None:
    """Consumers on two workers, a sync view, and a command that Towpath has not started, over one layer."""
    ada, grace = browsers
    with served(redis_server, prefix, tmp_path) as server:
        enter_over_two_workers(server, browsers, redis_server, prefix, "river")
        ada.say("Is the lock open?")
        grace.wait_for("Is the lock open?")
        grace.say("From nine <b>on</b>.")
        ada.wait_for("Is the lock open?", "From nine <b>on</b>.")  # a request may overtake a socket
        httpx.post(f"{server.url}/chat/river/announce/", data={"text": "It is nine."}, timeout=DEADLINE_S, **PLAIN)
        command = [sys.executable, "manage.py", "announce", "river", "It is open."]
        env = environment({"TOWPATH_REDIS": redis_server.url, "TOWPATH_PREFIX": prefix})
        for page in browsers:
            page.wait_for("Is the lock open?", "From nine <b>on</b>.", "It is nine.")
        subprocess.run(command, cwd=PROJECT, env=env, check=True, timeout=60)
        for page in browsers:
            page.wait_for("Is the lock open?", "From nine <b>on</b>.", "It is nine.", "It is open.")
        grace.enter(server, "sea")
        ada.say("only for the river")
        grace.say("only for the sea")
        ada.wait_for("Is the lock open?", "From nine <b>on</b>.", "It is nine.", "It is open.", "only for the river")
        grace.wait_for("only for the sea")


@pytest.mark.parametrize("resumed", [False, True], ids=["pages connect again", "sockets are handed over"])
def test_people_talk_on_after_a_reload_of_the_workers(
    redis_server: RedisServer, prefix: str, tmp_path: Path, browsers: tuple[RoomPage, RoomPage], resumed: bool
) -> None:
    """With --resume-websockets the next consumer joins the groups again, and the page notices nothing."""
    ada, grace = browsers
    with served(redis_server, prefix, tmp_path, ("--resume-websockets",) * resumed) as server:
        enter_over_two_workers(server, browsers, redis_server, prefix, "river")
        before = [page.connections for page in browsers]
        ada.say("before")
        grace.wait_for("before")
        command = [BIN / "towpath", "reload", "--run-dir", server.run_dir / "run"]
        subprocess.run(command, env=environment({}), check=True, timeout=RELOAD_DEADLINE_S)
        for page, count in zip(browsers, before, strict=True):
            again = count if resumed else count + 1
            page.wait_until(lambda page=page, again=again: page.state == "open" and page.connections >= again, "open")
            assert not resumed or page.connections == count
        grace.say("after")
        for page in browsers:
            page.wait_for("before", "after")
