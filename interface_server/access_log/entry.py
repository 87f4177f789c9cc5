"""One answered request, as a measured access log shows it. No client can add a line to it or forge a part of one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

#: The characters of an address; none of them could end its field in the line.
ADDRESS: Final = re.compile(r"[0-9A-Za-z.:%_\[\]-]*")
#: All printable characters but the quotation mark, with the `%` of bytes that are quoted already.
UNQUOTED: Final = "".join(chr(number) for number in range(0x21, 0x7F) if chr(number) != '"')
CUT_AT_BYTES: Final = 200  #: of a target that is refused, perhaps for its length

Peer = tuple[str, int] | None
Fields = Sequence[Sequence[Any]]  # pairs of bytes


@dataclass(slots=True, kw_only=True)
class AccessEntry:
    """A request from its head on, and its answer as far as it has gone."""

    client: Peer
    method: str  #: empty: none was read
    target: bytes  #: as received; of a refused head cut
    version: str = ""  #: empty: the head was refused
    fields: Fields = ()
    begun_s: float = 0.0  #: monotonic; 0.0: nothing was brought to the workers
    connection: str = ""  #: the reply channel; empty: the request came to no worker
    response_fields: Fields = ()
    body_bytes: int = 0
    status: int = 0
    why: str = ""  #: of an answer of our own
    local_time: str = "-"  #: at which it was over, as gunicorn shows it
    duration_s: float = 0.0

    @property
    def address(self) -> str:
        """The client's address; `-` if there is none."""
        return "-" if self.client is None else quoted_address(self.client)

    @property
    def request(self) -> str:
        """The first line of the request, as far as it was read; `-` if nothing was."""
        if not self.target:
            return "-"
        version = f" HTTP/{self.version}" if self.version else ""
        return f"{self.method} {quoted_target(self.target)}{version}"

    @property
    def line(self) -> str:
        """The line in our own form."""
        return f'{quoted_peer(self.client)} - "{self.request}" {self.status}{f" ({self.why})" if self.why else ""}'

    def json_fields(self) -> dict[str, object]:
        """The fields of the line in JSON, beside those of every line."""
        return {
            "client": quoted_peer(self.client),
            "method": self.method or None,
            "target": quoted_target(self.target) or None,
            "status": self.status,
            "reason": self.why or None,
            "bytes": self.body_bytes,
            "duration_s": round(self.duration_s, 6),
        }


def quoted_peer(peer: Peer) -> str:
    """Address and port. An address that a proxy names is quoted if it contains more than an address may."""
    return "-" if peer is None else f"{quoted_address(peer)}:{peer[1]}"


def quoted_address(peer: tuple[str, int]) -> str:
    """The address alone."""
    return peer[0] if ADDRESS.fullmatch(peer[0]) else quote(peer[0])


def quoted_target(target: bytes) -> str:
    """A target in printable ASCII, without a quotation mark."""
    return quote(target, safe=UNQUOTED)


def cut_target(target: bytes) -> bytes:
    """As much of the target of a refused head as is shown."""
    return target if len(target) <= CUT_AT_BYTES else target[:CUT_AT_BYTES] + b"..."
