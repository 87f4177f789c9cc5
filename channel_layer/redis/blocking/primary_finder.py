"""Finds the primary for blocking connections: the Sentinels are asked one after the other, without an event loop.

The rules are those of sentinel.py: the answer with the highest epoch counts, most Sentinels are enough, and a password is sent only to
a Sentinel that requires authentication. A Sentinel that did not answer is asked last the next time, so a dead one costs its second once.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import hiredis

from channel_layer.errors import LayerUnavailable
from channel_layer.process.signal_errors import is_of_handler
from channel_layer.redis.address import RedisAddress
from channel_layer.redis.address_file import AddressSource
from channel_layer.redis.blocking.connection import BlockingConnection, Place, accepted, authenticate
from channel_layer.redis.rejection_reasons import refusal

#: A Sentinel has nothing else to do: one that takes longer is away.
ANSWER_TIMEOUT_S = 1.0

#: The first names a promoted server at once; the second only when the other replicas have moved, but with the new epoch at once.
WHERE, STATE = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME"), ("SENTINEL", "MASTER")


@dataclass(frozen=True, slots=True)
class Primary:
    """A server that was named the primary, and the epoch of that decision."""

    host: str
    port: int
    epoch: int

    def supersedes(self, other: Primary) -> bool:
        """True if this server has replaced `other`. One server under two names is no reason to leave it."""
        return self.epoch > other.epoch and (self.host, self.port) != (other.host, other.port)


class PrimaryFinder:
    """Knows the place of the server, or of the primary behind Sentinels. For any thread."""

    def __init__(self, source: AddressSource) -> None:
        self._source = source
        self._sentinels = list(source.current().sentinels)  # in the order in which they are asked; replaced as a whole

    def find(self) -> Place:
        """The place of the server, or of the primary as the Sentinels name it. Raises NothingSent if none knows it."""
        address = self._source.current()
        if address.path:
            return address.path
        if not address.sentinels:
            return address.host, address.port
        primary = self._ask_all(address)
        return primary.host, primary.port

    def _ask_all(self, address: RedisAddress) -> Primary:
        found: list[Primary] = []
        faults: list[str] = []
        silent: list[tuple[str, int]] = []
        for where in self._sentinels:
            try:
                found.append(_ask(where, address))
            except (OSError, LayerUnavailable, hiredis.HiredisError) as error:
                if is_of_handler(error):
                    raise
                faults.append(str(error) or "no answer")
                silent.append(where)
            if len(found) > len(self._sentinels) // 2:
                break
        self._sentinels = [where for where in self._sentinels if where not in silent] + silent
        if not found:
            kind = refusal(*faults, rotated=address.from_file)
            raise kind(f"no Sentinel knows {address.service}: {'; '.join(faults)}")
        return max(found, key=lambda primary: primary.epoch)


def _ask(where: tuple[str, int], address: RedisAddress) -> Primary:
    with closing(BlockingConnection(where, address.tls, ANSWER_TIMEOUT_S)) as connection:
        _greet(connection, address)
        place = accepted(connection.call(*WHERE, address.service))
        facts = accepted(connection.call(*STATE, address.service))
    if place is None:
        raise hiredis.ReplyError(f"it names no primary of {address.service}")
    epoch = dict(zip(facts[::2], facts[1::2], strict=True)).get(b"config-epoch", b"0")
    return Primary(place[0].decode(), int(place[1]), int(epoch))


def _greet(connection: BlockingConnection, address: RedisAddress) -> None:
    credentials = address.sentinel_credentials
    if credentials is None:
        return
    answer = connection.call("PING")
    if isinstance(answer, hiredis.ReplyError) and str(answer).startswith("NOAUTH"):
        authenticate(connection, credentials)
