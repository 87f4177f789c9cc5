"""One process as supervisord sees it, with what it said itself before it left."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Process:
    """One slot, in supervisord's words for its state."""

    name: str
    state: str
    pid: int = 0
    cannot_start: bool = False  #: it said so itself
    reason: str = ""  #: why, if it said that too
    replacement_request: str = ""  #: why it asks for its successor, if it does
    end: str = ""  #: how it left, if it did
    loaded: bool = True  #: it has loaded the application; always true of a process that loads none

    @property
    def failed(self) -> bool:
        """Of a process that is starting: trying again will not help, or supervisord has tried often enough.

        EXITED: it lived for longer than supervisord counts the tries (`startsecs`), who would never stop trying.
        """
        return self.state in ("FATAL", "EXITED") or (self.state == "BACKOFF" and self.cannot_start)

    @property
    def has_ended(self) -> bool:
        """Of a process that is starting: it has left, at least once. supervisord may be about to try again."""
        return self.failed or self.state == "BACKOFF"

    @property
    def failure_sentence(self) -> str:
        """One reason about its failure."""
        if self.cannot_start or not self.end:
            return f"{self.name} could not start{f': {self.reason}' if self.reason else ''}"
        return f"{self.name} {self.end} while it started"
