"""The error that keeps a command from starting, with one sentence for its user."""

from __future__ import annotations

STARTUP_FAILURE = 3  #: exit code of every command that could not start what it was asked for
INTERRUPTED = 130  #: exit code of every command that Ctrl-C ended before it had begun


class StartFailure(Exception):
    """The command cannot do its work; the text is the one sentence that its user reads. Exit code 3."""


class BadSetting(StartFailure):
    """The value of one option cannot be used. `option`: its name, so that the sentence can end with where the value comes from."""

    def __init__(self, sentence: str, option: str) -> None:
        super().__init__(sentence)
        self.option = option
