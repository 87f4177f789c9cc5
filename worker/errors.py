"""Everything that the worker raises on purpose, named by the party that has to act.

StartupError            the operator: the process ends with exit code 3, and the text is all that the operator sees
├── AppNotFound         no such folder, module or attribute
├── AppBroken           it exists, but raised an exception while it was imported or called
├── AppUnclear          it exists, but cannot be run
├── MixedApps           another application is served already
├── LifespanFailed      it refused to start, or took too long
└── UnknownScope        it cannot run for a shared channel (`--channel`)
ApplicationError        the application: raised inside it, by the call that was wrong; nothing was sent
├── InvalidEvent        a value is missing, of the wrong type, or would break the protocol; the text names its place
└── WrongOrder          the event is known, but not legal now
ClientGone              no fault: an OSError, as ASGI 2.4 demands; in HTTP, which announces 2.3 here, only for a stream without end
"""

from __future__ import annotations


class StartupError(Exception):
    """The worker cannot start with these settings. `str()` is one sentence for the operator; `detail` may be shown above it."""

    def __init__(self, sentence: str, detail: str = "") -> None:
        super().__init__(sentence)
        self.detail = detail


class AppNotFound(StartupError):
    """There is no such folder, module or attribute."""


class AppBroken(StartupError):
    """Importing the module, or calling the factory, raised an exception, which is the `__cause__`."""


class AppUnclear(StartupError):
    """The object cannot be called, or its interface is unknown."""


class MixedApps(StartupError):
    """Another application is served under the same prefix of the same database."""


class LifespanFailed(StartupError):
    """The application sent `lifespan.startup.failed`, raised under `--lifespan on`, called sys.exit(), or did not answer in time."""


class UnknownScope(StartupError):
    """The application does not know scopes of type `channel`."""


class ApplicationError(Exception):
    """The application has broken the protocol. Raised inside it; nothing was sent."""


class InvalidEvent(ApplicationError, ValueError):
    """An event that cannot be sent; the text names the place."""


class WrongOrder(ApplicationError, RuntimeError):
    """A known event at the wrong time, or `receive()` after the disconnect was already returned."""


class ClientGone(OSError):
    """The client has left, or the connection was taken away. ASGI specification, 2.4."""
