"""What clients and the application have seen, as values: all that is judged afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

#: Kinds of sockets that outlive their worker, and may lose what it had been given.
SURVIVES_DEATH = frozenset({"crash", "hesitant"})


class Ending(Enum):
    """How something ended for its client."""

    WHOLE = auto()  # a complete response; a socket that still echoed when its client closed it
    CUT = auto()  # a response that its client can tell is not complete
    CLOSED = auto()  # a socket: by the server, with a code
    RESET = auto()  # without a word
    LEFT = auto()  # the client went, as it had meant to
    HUNG = auto()  # nothing came for longer than anything may take


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request."""

    name: str
    method: str
    kind: str
    interface: int  #: which interface server it came to
    ending: Ending
    status: int | None = None
    body: bytes = b""
    sent_bytes: int = 0  #: the size of its own body, all of it "x"
    began_s: float = 0.0  #: monotonic, as all moments here
    ended_s: float = 0.0
    reused: bool = False  #: asked on a connection that had served before

    @property
    def idempotent(self) -> bool:
        return self.method != "POST"


@dataclass(frozen=True, slots=True)
class Socket:
    """One WebSocket, or its handshake."""

    name: str
    kind: str
    interface: int
    ending: Ending
    status: int | None = None  #: what a handshake that failed was answered
    code: int | None = None  #: what an open one was closed with
    greetings: int = 0
    sent: int = 0
    echoes: tuple[tuple[int, int], ...] = ()  #: the number that was sent, and how many the application had counted
    strange: tuple[str, ...] = ()  #: what no instance of this socket can have said
    silent: bool = False  #: until all trouble was over
    notes: tuple[str, ...] = ()  #: what was told to its group, by the names of the requests
    greeted_s: float | None = None
    ended_s: float = 0.0
    recovered_s: float | None = None  #: from the end of all trouble until it echoed again


@dataclass(frozen=True, slots=True)
class Start:
    """The application was started for a connection."""

    name: str
    pid: int
    instance: int


@dataclass(frozen=True, slots=True)
class End:
    """An instance was given its disconnect."""

    name: str
    pid: int
    instance: int
    code: int


@dataclass(frozen=True, slots=True)
class Seen:
    """One performance, from its first client to its last."""

    exchanges: tuple[Exchange, ...]
    sockets: tuple[Socket, ...]
    starts: tuple[Start, ...]
    ends: tuple[End, ...]
