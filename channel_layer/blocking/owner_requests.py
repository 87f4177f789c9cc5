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
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import hiredis

from channel_layer.blocking.commands import Commands
from channel_layer.encryption.encryption import Batch, Encryption
from channel_layer.errors import LayerUnavailable, NothingSent, ProtocolError, Undecryptable
from channel_layer.protocol.codec import pack_threadsafe
from channel_layer.protocol.keys import Keys
from channel_layer.protocol.names import BLOCKING_ROLE, node_name
from channel_layer.protocol.packets import JOINED, UNDELIVERABLE, VERSION, Packet
from channel_layer.redis.blocking.connection import BlockingConnection, pack
from channel_layer.redis.rejection_reasons import refusal
from channel_layer.redis.scripts import MAKE_INBOX

INBOX_TTL_MS = 60_000
RANDOM_BYTES = 6
#: After so long without an answer a call looks whether the owner is alive, and so on.
SUSPECT_S = 0.5

#: A number that no request has.
UNNUMBERED = 0
#: The positions of two fields of `joined`.
JOINED_REQUEST, JOINED_KNOWN = 3, 4

#: Makes the packets of a request from its number. The last one is the `join` or `leave` that has it.
MakePackets = Callable[[int], Sequence[Packet]]
#: Packets as they are read.
Answers = list[list[Any]]


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

    def ask(self, node: str, make_packets: MakePackets) -> Answers | None:
        """Send a request to `node`, and return when it has been carried out, or if that process has ended.

        Returns the packets with which it has answered, the last one to the last packet; none if the process had ended, and None if it
        may have ended after it had received the request. Raises NothingSent, and LayerUnavailable if no answer came: the outcome is
        unknown.
        """
        number = next(self._numbers)
        name = node_name(BLOCKING_ROLE, secrets.token_hex(RANDOM_BYTES))
        batch = pack_threadsafe((VERSION, name, tuple(make_packets(number))))
        if self._encryption.enabled:
            batch = self._encryption.entry(self._keys.inbox(node), batch)
        with self._commands.pool.connection() as connection:
            sent, last_id = self._send(connection, node, name, batch)
            answers = self._await(connection, node, (name, last_id), number) if sent else None
        if answers is None and self.has_lease(node):
            if sent:
                raise LayerUnavailable(f"{node} did not answer within {self._timeout_s:g} s")
            raise NothingSent(f"{node} takes no packets at the moment")
        return answers if sent else []

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

    def _await(
        self, connection: BlockingConnection, node: str, after: tuple[str, bytes], number: int
    ) -> Answers | None:
        """Wait for the answers, up to that to the request of this number. Returns None if that does not come in time, or `node` has ended.

        after: name and last id of our inbox.
        """
        name, last_id = after
        inbox = self._keys.inbox(name)
        read = self._encryption.batch_reader(inbox)
        answers: Answers = []
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
                answers += self._answers_in(read, fields[1])
            if any(packet[0] == JOINED and packet[JOINED_REQUEST] == number for packet in answers):
                with suppress(LayerUnavailable):  # the outcome is known, and the inbox ends by itself
                    connection.call("DEL", inbox)
                return answers
            if not entries and connection.call("EXISTS", self._keys.lease(node)) == 0:
                return None
        return None

    def _answers_in(self, read: Callable[[bytes], Batch], batch: bytes) -> Answers:
        """The answers in a batch; none if it cannot be read."""
        try:
            _, packets = read(batch)
        except Undecryptable as error:
            self._encryption.report("an answer", error)
            self._counters["packets.undecryptable"] += 1
            return []
        except ProtocolError:
            self._counters["packets.malformed_batch"] += 1
            return []
        return [packet for packet in packets if packet[0] in (JOINED, UNDELIVERABLE)]
