"""One process: its state in supervisord, and what it has marked itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One slot. state: in supervisord's terms."""

    name: str
    state: str
    pid: int = 0
    cannot_start: bool = False  #: it has marked that itself
    reason: str = ""  #: why it cannot start, if it gave a reason
    replacement_request: str = ""  #: why it requests its replacement, if it does
    end: str = ""  #: how it left, if it has left
    loaded: bool = True  #: it has loaded the application; always true of a process that loads none
    listens: bool = True  #: it accepts connections; always true of a process for which clients have no use

    @property
    def failed(self) -> bool:
        """True if a starting process has failed for good: another try will not help, or supervisord has tried often enough.

        EXITED: it lived longer than supervisord counts its tries (`startsecs`), so supervisord would never stop trying.
        """
        return self.state in ("FATAL", "EXITED") or (self.state == "BACKOFF" and self.cannot_start)

    @property
    def has_ended(self) -> bool:
        """True if a starting process has left at least once. supervisord may be about to try again."""
        return self.failed or self.state == "BACKOFF"

    @property
    def failure_sentence(self) -> str:
        """One reason about its failure."""
        if self.cannot_start or not self.end:
            return f"{self.name} could not start{f': {self.reason}' if self.reason else ''}"
        return f"{self.name} {self.end} while it started"
