"""The output of `serve` while it starts: first nothing, then held log lines once APP has been loaded, at the end the greeting.

The first worker that has loaded APP is the proof of it. If none can, one sentence about that is all there is to show, below the log
lines of the process that found it out. After a few seconds every line is shown as it comes. The greeting has the address, so it is
shown when clients are accepted there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum, auto

from channel_layer.protocol.illegal_move import legal_move
from towpath.rollout.application_check import SILENT_S
from towpath.serve.log_pipes import LogPipes
from towpath.system import standard_streams

OUR_PREFIX = b"towpath: "


class OutputStage(Enum):
    """How far loading APP is."""

    WAITING = auto()  # no worker was started yet
    LOADING = auto()  # log lines are held
    SLOW = auto()  # it takes long, which was shown; log lines are shown as they come
    LOADED = auto()  # a worker has loaded APP
    SLOW_START = auto()  # the start takes long after that, which was shown
    SERVING = auto()  # the greeting was shown


#: Every legal move.
MOVES = {
    OutputStage.WAITING: (OutputStage.LOADING,),
    # Ready without a sign that APP was loaded: the disk was full when a worker marked it.
    OutputStage.LOADING: (OutputStage.SLOW, OutputStage.LOADED, OutputStage.SERVING),
    OutputStage.SLOW: (OutputStage.LOADED, OutputStage.SERVING),
    OutputStage.LOADED: (OutputStage.SLOW_START, OutputStage.SERVING),
    OutputStage.SLOW_START: (OutputStage.SERVING,),
    OutputStage.SERVING: (),
}


#: What a stage becomes if it takes long, and what is shown then.
SLOWER = {
    OutputStage.LOADING: (OutputStage.SLOW, "loading"),
    OutputStage.LOADED: (OutputStage.SLOW_START, "starting"),
}


class StartupOutput:
    """The start of one `serve`, as people see it."""

    def __init__(self, app: str, pipes: LogPipes, greet: Callable[[], None]) -> None:
        """greet: shows what is served, and where."""
        self._app = app
        self._pipes = pipes
        self._greet = greet
        self._stage = OutputStage.WAITING
        self._slow_at = 0.0
        pipes.hold()

    @property
    def loaded(self) -> bool:
        """True if a worker has loaded APP."""
        return self._stage in (OutputStage.LOADED, OutputStage.SLOW_START, OutputStage.SERVING)

    def poll(self, loaded: bool) -> None:
        """Show what is due. Called now and then once workers are started. loaded: one of them has loaded APP."""
        if self._stage is OutputStage.WAITING:
            self._slow_at = time.monotonic() + SILENT_S
            self._enter(OutputStage.LOADING)
        if loaded and not self.loaded:
            self._slow_at = time.monotonic() + SILENT_S
            self._enter(OutputStage.LOADED)
            self._pipes.release()
        elif self._stage in SLOWER and time.monotonic() > self._slow_at:
            stage, what = SLOWER[self._stage]
            self._enter(stage)
            standard_streams.write_line(f"still {what} {self._app} …")
            self._pipes.release()

    def end(self) -> None:
        """Show what is served, and where: all processes are ready."""
        self._enter(OutputStage.SERVING)
        self._pipes.release()
        self._greet()

    def _enter(self, stage: OutputStage) -> None:
        """Move on to `stage`. Raises IllegalMove if the table has no such move."""
        self._stage = legal_move(MOVES, self._stage, stage, "the output")

    def early_end_sentence(self, end: str) -> str:
        """The sentence about a worker that left before it had loaded APP."""
        return f"the process that loaded {self._app!r} {end} before the application was there"

    def show_held(self, name: str) -> None:
        """Show the held log lines of this process on standard error, without our own sentence, which comes at the end."""
        lines = self._pipes.held_by(name).splitlines(keepends=True)
        text = b"".join(line for line in lines if not line.startswith(OUR_PREFIX))
        standard_streams.write(standard_streams.STANDARD_ERROR, text)
