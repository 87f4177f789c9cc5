"""The chat example as two people use it, each in a browser of their own, while the workers behind them change."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browser import ChatPage, chromium, needs_chromium
from tests.support.serving import Server, towpath_serve

CHAT = Path(__file__).parents[1]
TRIES = 12  #: a newcomer meets either of two workers; twelve times the same one is one chance in two thousand
AWAY_MAX_S = 2.0  #: from the end of a page's socket until it is connected again
BACK_DEADLINE_S = 15.0  #: the same, and before it the grace of the worker that was asked to stop

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`towpath serve` with two workers, as in a terminal."""
    run_dir = tmp_path_factory.mktemp("serve")
    with towpath_serve(
        "examples.chat.app:application", options=("--workers", "2"), cwd=CHAT, run_dir=run_dir
    ) as running:
        yield running


@pytest.fixture(scope="module")
def browsers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ChatPage, ChatPage]]:
    with contextlib.ExitStack() as stack:
        one, other = (
            ChatPage(stack.enter_context(chromium(tmp_path_factory.mktemp(name)))) for name in ("ada", "grace")
        )
        yield one, other


@pytest.fixture
def ada_and_grace(
    server: Server, browsers: tuple[ChatPage, ChatPage], request: pytest.FixtureRequest
) -> tuple[ChatPage, ChatPage]:
    """Both in a room of their own, on two workers."""
    room = request.node.name.replace("_", "-").lower()[:40]
    for page, name in zip(browsers, ("Ada", "Grace"), strict=True):
        page.open("about:blank")  # else only the part behind `#` changes, and the page stays
        page.open(f"{server.url}/#{room}")
        page.driver.execute_script("localStorage.clear(); sessionStorage.clear()")
        page.driver.refresh()
        page.join(name)
    ada, grace = browsers
    for _ in range(TRIES):
        if ada.worker_pid != grace.worker_pid:
            return ada, grace
        grace.driver.refresh()
        grace.wait_until(lambda: grace.connected, "Grace on the water")
    raise AssertionError(f"{TRIES} connections, and all came to worker {ada.worker_pid}")


def talk(one: ChatPage, other: ChatPage, topic: str) -> None:
    """A word each way, seen on both sides."""
    one.say(f"{topic}: is anybody there?")
    other.wait_for_message(f"{topic}: is anybody there?")
    other.say(f"{topic}: I am.")
    for page in (one, other):
        page.wait_for_message(f"{topic}: I am.")


def test_two_people_on_two_workers_talk(ada_and_grace: tuple[ChatPage, ChatPage]) -> None:
    """A group reaches sockets whichever worker owns them, and each page says which worker serves whom."""
    ada, grace = ada_and_grace
    talk(ada, grace, "first")
    served = {"Ada": ada.worker_pid, "Grace": grace.worker_pid}
    for page in (ada, grace):
        page.wait_for_people(served)
    assert ada.messages == grace.messages
    assert ada.complaints == grace.complaints == []


def test_what_people_write_is_text_and_never_markup(ada_and_grace: tuple[ChatPage, ChatPage]) -> None:
    """A message that looks like a page is shown letter by letter, and does nothing."""
    ada, grace = ada_and_grace
    nasty = "<img src=x onerror=\"document.title='taken'\"> & <script>document.title='taken'</script> ünïcödé"
    ada.say(nasty)
    grace.wait_for_message(nasty)
    assert grace.driver.title == "Towpath chat"
    assert not grace.driver.execute_script("return document.querySelectorAll('.message img, .message script').length")


def test_a_room_hears_nothing_of_another(ada_and_grace: tuple[ChatPage, ChatPage]) -> None:
    """Leaving a room leaves its group: what is said there afterwards does not arrive, and nobody is shown as still there."""
    ada, grace = ada_and_grace
    talk(ada, grace, "before")
    grace.enter_room("elsewhere")
    ada.wait_until(lambda: "Grace" not in ada.people, "Grace has left")
    ada.say("only for this room")
    ada.wait_for_message("only for this room")
    grace.say("only for the other room")
    grace.wait_for_message("only for the other room")
    assert "only for this room" not in grace.messages
    assert "only for the other room" not in ada.messages


def test_both_talk_again_after_a_worker_was_restarted(ada_and_grace: tuple[ChatPage, ChatPage]) -> None:
    """The sockets of a worker that is asked to stop end with 1012; their pages come back with name, room and history."""
    ada, grace = ada_and_grace
    talk(ada, grace, "before")
    gone = grace.worker_pid
    ada_stays_with = ada.worker_pid
    os.kill(gone, signal.SIGTERM)
    grace.wait_until(lambda: grace.connected and grace.worker_pid != gone, "Grace has a fresh horse", BACK_DEADLINE_S)
    (away_s,) = grace.changes_of_horses_s
    assert away_s <= AWAY_MAX_S
    assert (ada.connected, ada.worker_pid) == (True, ada_stays_with)
    talk(ada, grace, "after")
    assert grace.messages == ada.messages
    assert [text.partition(":")[0] for text in grace.messages] == ["before", "before", "after", "after"]
    assert ada.people.keys() == grace.people.keys() == {"Ada", "Grace"}
