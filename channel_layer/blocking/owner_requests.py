"""Asks the process that owns a channel for an answer (`joined`), and waits for it.

The answer needs an inbox. Each request makes one of its own, so that threads cannot read each other's answers, and deletes it when the
answer is there. Without an answer it stays until its time to live is over: an answer that comes late must find it, or the owner would
take this process for a dead one. docs/protocol/groups.md.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import hiredis

from channel_layer.blocking.commands import Commands
from channel_layer.blocking.connection import BlockingConnection, pack
from channel_layer.encryption.encryption import Batch, Encryption
from channel_layer.errors import LayerUnavailable, NothingSent, ProtocolError, Undecryptable
from channel_layer.protocol.codec import pack_threadsafe
from channel_layer.protocol.keys import Keys
from channel_layer.protocol.names import BLOCKING_ROLE, node_name
from channel_layer.protocol.packets import JOINED, VERSION, Packet
from channel_layer.redis.rejection_reasons import refusal
from channel_layer.redis.scripts import MAKE_INBOX

INBOX_TTL_MS = 60_000
RANDOM_BYTES = 6
#: After so long without an answer a call looks whether the owner is alive, and so on.
SUSPECT_S = 0.5

#: Makes the packet of a request, `join` or `leave`, from its number.
MakePacket = Callable[[int], Packet]


class OwnerRequests:
    """The requests of one blocking layer. For any thread."""

    def __init__(
        self, commands: Commands, keys: Keys, encryption: Encryption, timeout_s: float, counters: Counter[str]
    ) -> None:
        """timeout_s: how long an owner may take to answer. counters: of what is dropped."""
        self._commands = commands
        self._keys = keys
        self._encryption = encryption
        self._timeout_s = timeout_s
        self._counters = counters
        self._numbers = itertools.count(1)

    def ask(self, node: str, make_packet: MakePacket, *behind: Packet) -> bool | None:
        """Send a request to `node`, with the packets `behind` it, and return when it has been carried out, or if that process has ended.

        Returns whether the channel exists: False also if the process had ended; None if it may have ended after it had received this.
        Raises NothingSent, and LayerUnavailable if no answer came: the outcome is unknown.
        """
        number = next(self._numbers)
        name = node_name(BLOCKING_ROLE, secrets.token_hex(RANDOM_BYTES))
        batch = pack_threadsafe((VERSION, name, (make_packet(number), *behind)))
        if self._encryption.enabled:
            batch = self._encryption.entry(self._keys.inbox(node), batch)
        with self._commands.pool.connection() as connection:
            sent, last_id = self._send(connection, node, name, batch)
            known = self._await(connection, node, (name, last_id), number) if sent else None
        if known is None and self.has_lease(node):
            if sent:
                raise LayerUnavailable(f"{node} did not answer within {self._timeout_s:g} s")
            raise NothingSent(f"{node} takes no packets at the moment")
        return known if sent else False

    def has_lease(self, node: str) -> bool:
        """True if the process `node` lives. Raises LayerUnavailable."""
        return bool(self._commands.execute("EXISTS", self._keys.lease(node)))

    def _send(self, connection: BlockingConnection, node: str, name: str, batch: bytes) -> tuple[bool, bytes]:
        """Make the inbox and send the batch, in one round trip. Returns whether `node` lives and has an inbox, and the last id of ours."""
        packed = pack("EVAL", MAKE_INBOX.text, 1, self._keys.inbox(name), INBOX_TTL_MS)
        packed += pack("XADD", self._keys.inbox(node), "NOMKSTREAM", "*", "b", batch)
        packed += pack("EXISTS", self._keys.lease(node))
        made, added, lives = connection.exchange(packed, 3)
        for answer in (made, added, lives):
            if isinstance(answer, hiredis.ReplyError):
                error = LayerUnavailable if isinstance(added, bytes) else refusal(answer)
                raise error(f"Redis refused a request to {node}: {answer}")
        return added is not None and bool(lives), made[1]

    def _await(self, connection: BlockingConnection, node: str, after: tuple[str, bytes], number: int) -> bool | None:
        """Wait for the answer, and return whether the channel exists. Returns None if no answer comes in time, or `node` has ended.

        after: name and last id of our inbox.
        """
        name, last_id = after
        inbox = self._keys.inbox(name)
        read = self._encryption.batch_reader(inbox)
        end = time.monotonic() + self._timeout_s
        while (left_s := end - time.monotonic()) > 0:
            block_s = min(SUSPECT_S, left_s)
            block_ms = max(1, int(block_s * 1000))
            answer = connection.call("XREAD", "BLOCK", block_ms, "STREAMS", inbox, last_id, block_s=block_s)
            if isinstance(answer, hiredis.ReplyError):
                raise LayerUnavailable(f"the answer to a request could not be read: {answer}")
            entries = answer[0][1] if answer else ()
            for entry_id, fields in entries:
                last_id = entry_id
                if (known := self._answer_in(read, fields[1], number)) is not None:
                    with suppress(LayerUnavailable):  # the outcome is known, and the inbox ends by itself
                        connection.call("DEL", inbox)
                    return known
            if not entries and connection.call("EXISTS", self._keys.lease(node)) == 0:
                return None
        return None

    def _answer_in(self, read: Callable[[bytes], Batch], batch: bytes, number: int) -> bool | None:
        """The answer to the request of this number, if a batch holds it."""
        try:
            _, packets = read(batch)
        except Undecryptable as error:
            self._encryption.report("an answer", error)
            self._counters["packets.undecryptable"] += 1
            return None
        except ProtocolError:
            self._counters["packets.malformed_batch"] += 1
            return None
        return next((bool(packet[4]) for packet in packets if packet[0] == JOINED and packet[3] == number), None)
