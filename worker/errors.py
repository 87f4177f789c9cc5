"""Everything that the worker raises on purpose, named by whose turn it is to act.

StartupError            an operator's turn: the process ends with exit code 3, and the text is all they get to see
├── AppNotFound         no such folder, module or attribute
├── AppBroken           it is there, and raised while it was imported or made
├── AppUnclear          it is there, and is nothing that can be run
└── LifespanFailed      it refused to start, or took too long to
ApplicationError        the application's turn: raised inside it, out of the call that was wrong; nothing was sent
├── InvalidEvent        a value is missing, of the wrong type, or would break the protocol; the text names its place
└── WrongOrder          the event is known, and not now
ClientGone              nobody's fault: an OSError, as ASGI 2.4 demands; in HTTP, where we announce 2.3, only for a stream without end
"""

from __future__ import annotations


class StartupError(Exception):
    """The worker cannot start as it was told to. `str()` is one sentence for a person, `detail` what may be shown above it."""

    def __init__(self, sentence: str, detail: str = "") -> None:
        super().__init__(sentence)
        self.detail = detail


class AppNotFound(StartupError):
    """There is no such folder, module or attribute."""


class AppBroken(StartupError):
    """Importing the module, or calling the factory, raised. `__cause__` is what it raised."""


class AppUnclear(StartupError):
    """What was found cannot be called, or not in any way that we know."""


class MixedApps(StartupError):
    """Another application is served under the same prefix of the same database."""


class LifespanFailed(StartupError):
    """The application said `lifespan.startup.failed`, raised under `--lifespan on`, called sys.exit(), or did not answer in time."""


class ApplicationError(Exception):
    """The application did what it may not do. Raised inside it; nothing was sent."""


class InvalidEvent(ApplicationError, ValueError):
    """An event that cannot be sent as it is; the text names the place."""


class WrongOrder(ApplicationError, RuntimeError):
    """A known event at the wrong time, or `receive()` after the disconnect was already told."""


class ClientGone(OSError):
    """Nobody is left to hear it: the client went away, or the connection was taken away. ASGI specification, 2.4."""
