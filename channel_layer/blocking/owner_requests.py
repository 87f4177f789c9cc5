"""Asks the process that owns a channel to change a membership, and waits for its answer (`joined`).

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

import hiredis

from channel_layer.blocking.commands import Commands
from channel_layer.blocking.connection import BlockingConnection, pack
from channel_layer.encryption.encryption import Batch, Encryption
from channel_layer.errors import LayerUnavailable, NothingSent, ProtocolError, Undecryptable
from channel_layer.protocol.codec import pack_threadsafe
from channel_layer.protocol.keys import Keys
from channel_layer.protocol.names import node_name
from channel_layer.protocol.packets import JOINED, VERSION, Packet
from channel_layer.redis.scripts import MAKE_INBOX

ROLE = "blocking"
INBOX_TTL_MS = 60_000
RANDOM_BYTES = 6
#: After so long without an answer a call looks whether the owner is alive, and so on.
SUSPECT_S = 0.5

#: Makes the packet of a request from its number.
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

    def ask(self, node: str, make_packet: MakePacket) -> None:
        """Send a request to `node`, and return when it has been carried out, or if that process has ended.

        Raises NothingSent, and LayerUnavailable if no answer came: the outcome is unknown.
        """
        number = next(self._numbers)
        name = node_name(ROLE, secrets.token_hex(RANDOM_BYTES))
        batch = pack_threadsafe((VERSION, name, (make_packet(number),)))
        if self._encryption.enabled:
            batch = self._encryption.entry(self._keys.inbox(node), batch)
        with self._commands.pool.connection() as connection:
            sent, last_id = self._send(connection, node, name, batch)
            answered = sent and self._await(connection, node, (name, last_id), number)
        if not answered and self.has_lease(node):
            if sent:
                raise LayerUnavailable(f"{node} did not answer within {self._timeout_s:g} s")
            raise NothingSent(f"{node} takes no packets at the moment")

    def has_lease(self, node: str) -> bool:
        """True if the process `node` lives. Raises LayerUnavailable."""
        return bool(self._commands.execute("EXISTS", self._keys.lease(node)))

    def _send(self, connection: BlockingConnection, node: str, name: str, batch: bytes) -> tuple[bool, bytes]:
        """Make the inbox and send the batch, in one round trip. Returns whether `node` has an inbox, and the last id of ours."""
        packed = pack("EVAL", MAKE_INBOX.text, 1, self._keys.inbox(name), INBOX_TTL_MS)
        packed += pack("XADD", self._keys.inbox(node), "NOMKSTREAM", "*", "b", batch)
        made, added = connection.exchange(packed, 2)
        for answer in (made, added):
            if isinstance(answer, hiredis.ReplyError):
                raise NothingSent(f"Redis refused a request to {node}: {answer}")
        return added is not None, made[1]

    def _await(self, connection: BlockingConnection, node: str, after: tuple[str, bytes], number: int) -> bool:
        """Wait for the answer. Returns False if none comes in time, or `node` has ended. after: name and last id of our inbox."""
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
                if self._answers(read, fields[1], number):
                    connection.call("DEL", inbox)
                    return True
            if not entries and connection.call("EXISTS", self._keys.lease(node)) == 0:
                return False
        return False

    def _answers(self, read: Callable[[bytes], Batch], batch: bytes, number: int) -> bool:
        """True if a batch holds the answer to the request of this number."""
        try:
            _, packets = read(batch)
        except Undecryptable as error:
            self._encryption.report("an answer", error)
            self._counters["packets.undecryptable"] += 1
            return False
        except ProtocolError:
            self._counters["packets.malformed_batch"] += 1
            return False
        return any(packet[0] == JOINED and packet[3] == number for packet in packets)
