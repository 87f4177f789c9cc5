"""The chat as two people use it while its code changes behind them: their sockets are handed over, and nobody comes back."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.browser import ChatPage, chromium, needs_chromium
from tests.support.serving import BIN, Server, environment, towpath_serve

CHAT = Path(__file__).parents[1] / "examples" / "chat"
OLD, NEW = "socket.gethostname()", '"new-code"'  #: what a worker of the changed code calls its host
RELOAD_DEADLINE_S = 60.0

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browsers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ChatPage, ChatPage]]:
    with ExitStack() as stack:
        one, other = (ChatPage(stack.enter_context(chromium(tmp_path_factory.mktemp(name)))) for name in ("a", "g"))
        yield one, other


@pytest.mark.parametrize("how", ["a file changes under --reload", "towpath reload"])
def test_people_talk_on_without_a_reconnect_while_the_code_changes(
    tmp_path: Path, browsers: tuple[ChatPage, ChatPage], how: str
) -> None:
    """P7. One socket each from the first word to the last, every word once and in order, and new code behind both."""
    shutil.copytree(CHAT, tmp_path / "chat")
    options = ["--workers", "2"] + ["--reload"] * ("--reload" in how)
    with towpath_serve("app", run_dir=tmp_path / "run", app_dir=tmp_path / "chat", options=options) as server:
        for page, name in zip(browsers, ("Ada", "Grace"), strict=True):
            page.open(f"{server.url}/#lock")
            page.join(name)
            page.watch_states()
        file = tmp_path / "chat" / "app.py"
        file.write_text(file.read_text().replace(OLD, NEW))
        reload = None if "--reload" in how else _command(server, "reload")
        words = _talk_until_the_code_is_new(*browsers)
        if reload is not None:
            said, complaints = reload.communicate(timeout=RELOAD_DEADLINE_S)
            assert (reload.returncode, complaints) == (0, ""), said
        for page in browsers:
            page.wait_for_message(words[-1])
            assert page.messages == words
            assert set(page.states) == {"open"}
            assert page.complaints == []
        assert server.log.count('"GET /socket?') == len(browsers), "nobody has knocked twice"


def _command(server: Server, word: str) -> subprocess.Popen[str]:
    command = [BIN / "towpath", word, "--run-dir", server.run_dir / "run"]
    return subprocess.Popen(
        command, env=environment({}), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )


def _talk_until_the_code_is_new(ada: ChatPage, grace: ChatPage) -> list[str]:
    """Each says a word and waits for it, in turn, and both once more when both are served by the new code."""
    words: list[str] = []

    def turn() -> None:
        for speaker, listener in ((ada, grace), (grace, ada)):
            words.append(f"word {len(words) + 1}")
            speaker.say(words[-1])
            listener.wait_for_message(words[-1])

    def changed() -> bool:
        turn()
        return all(page.worker_host == NEW.strip('"') for page in (ada, grace))

    ada.wait_until(changed, "both on new code", RELOAD_DEADLINE_S)
    turn()
    return words
