"""A person at a browser: Debian's Chromium without a window, driven by Selenium, and the chat page as that person sees it.

Every browser has a profile of its own, so that two of them are two people. Nothing is downloaded: without Chromium and its
driver on PATH the tests that need them are skipped by name.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
DEADLINE_S = 15.0

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="chromium or chromedriver is not installed (Debian: apt install chromium chromium-driver)",
)

SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextlib.contextmanager
def chromium(profile: Path) -> Iterator[webdriver.Chrome]:
    """One browser with an own profile; it has ended when the block ends."""
    assert CHROMIUM and DRIVER
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in (*SWITCHES, f"--user-data-dir={profile}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


class ChatPage:
    """The chat in one browser: what a person does there, and what they can see."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        self.driver.get(url)

    def join(self, name: str) -> None:
        """Fill in the dialog that asks for a name; connected afterwards."""
        self.wait_until(lambda: self._one("#name").is_displayed(), "the question for a name")
        self._one("#name").send_keys(name)
        self._one("#join").click()
        self.wait_until(lambda: self.connected, "on the water")

    def say(self, text: str) -> None:
        self._one("#text").send_keys(text, Keys.ENTER)

    def enter_room(self, room: str) -> None:
        self._one("#other-room-name").send_keys(room, Keys.ENTER)
        self.wait_until(lambda: self._one("#room-title").text == f"#{room}" and self.connected, f"in {room}")

    @property
    def connected(self) -> bool:
        return self._one("body").get_attribute("data-state") == "open"

    @property
    def worker_pid(self) -> int:
        """The process that serves this page, as its badge says."""
        return int(self._worker[2])

    @property
    def worker_host(self) -> str:
        """The machine of that process."""
        return self._worker[0]

    @property
    def _worker(self) -> tuple[str, str, str]:
        return (self._one("#state-badge").get_attribute("data-worker") or "/0").rpartition("/")

    def watch_states(self) -> None:
        """From now on `states` has each state of this page's connection, the present one first."""
        self.driver.execute_script("""const note = () => states.push(document.body.dataset.state);
            window.states = []; note();
            new MutationObserver(note).observe(document.body, {attributeFilter: ["data-state"]})""")

    @property
    def states(self) -> list[str]:
        """What `watch_states` has seen."""
        return list(self.driver.execute_script("return window.states"))

    @property
    def changes_of_horses_s(self) -> list[float]:
        """How long this page was without a connection, each time that it came back to another worker."""
        script = "return [...document.querySelectorAll('.note.change')].map((note) => note.dataset.tookMs / 1000)"
        return list(self.driver.execute_script(script))

    @property
    def messages(self) -> list[str]:
        """What was said and has arrived, in order; own words that nobody has confirmed do not count."""
        return self._texts(".message:not(.pending) .text")

    @property
    def people(self) -> dict[str, int]:
        """Who is here, and the process that serves each of them."""
        script = """return [...document.querySelectorAll("#people li")].map((line) =>
            [line.querySelector(".who").title, line.querySelector(".badge").dataset.worker.split("/").at(-1)])"""
        return {name: int(pid) for name, pid in self.driver.execute_script(script)}

    @property
    def complaints(self) -> list[str]:
        """What the browser wrote into its console as an error of the page itself: scripts, styles, what the policy forbids."""
        return [
            entry["message"]
            for entry in self.driver.get_log("browser")  # type: ignore[no-untyped-call]  # Selenium annotates a part of itself
            if entry["level"] == "SEVERE" and "WebSocket connection" not in entry["message"]
        ]

    def wait_until(self, fact: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
        def seen(_: webdriver.Chrome) -> bool:
            return fact()

        WebDriverWait(self.driver, deadline_s, poll_frequency=0.03).until(seen, f"not within {deadline_s} s: {what}")

    def wait_for_message(self, text: str) -> None:
        self.wait_until(lambda: text in self.messages, f"{text!r} among the messages")

    def wait_for_people(self, people: dict[str, int]) -> None:
        self.wait_until(lambda: self.people == people, f"{people} and nobody else here")

    def _one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def _texts(self, selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map((element) => element.textContent)"
        return list(self.driver.execute_script(script, selector))
