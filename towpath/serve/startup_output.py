"""What `serve` shows before APP is known to load: nothing at first, then the greeting and all that was said meanwhile.

The first worker that has loaded APP is the proof of it. If none can, its one sentence is all that there is to say, with what the
process that found it out had said itself. After a few seconds everything is shown as it comes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from towpath.rollout.application_check import SILENT_S
from towpath.serve.log_pipes import LogPipes
from towpath.system import standard_streams

SAID_BY_US = b"towpath: "


class Opening:
    """The beginning of one `serve`, as people see it."""

    def __init__(self, app: str, pipes: LogPipes, greet: Callable[[], None]) -> None:
        """greet: says what is served, and where."""
        self._app = app
        self._pipes = pipes
        self._greet = greet
        self._word_at: float | None = None
        self.loaded = False  #: APP has been loaded by somebody
        pipes.hold()

    def look(self, loaded: bool) -> None:
        """Now and then from when workers were started: whether one has loaded APP."""
        self._word_at = self._word_at or time.monotonic() + SILENT_S
        if loaded and not self.loaded:
            self.loaded = True
            self._greet()
            self._pipes.release()
        elif not self.loaded and time.monotonic() > self._word_at:
            self._word_at = math.inf
            standard_streams.say(f"still loading {self._app} …")
            self._pipes.release()

    def sentence_of_a_death(self, end: str) -> str:
        """About a worker that left before it had loaded APP."""
        return f"the process that loaded {self._app!r} {end} before the application was there"

    def show_what_was_said(self, name: str) -> None:
        """On standard error, what this process had said; but not our own sentence, which comes at the end."""
        lines = self._pipes.held_by(name).splitlines(keepends=True)
        text = b"".join(line for line in lines if not line.startswith(SAID_BY_US))
        standard_streams.write(standard_streams.STANDARD_ERROR, text)
