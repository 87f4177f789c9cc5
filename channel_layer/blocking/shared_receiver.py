"""Receives messages from shared channels of applications, one at a time.

To read an entry is not to own it: a script decides which process gets the message (take_messages.lua). An entry that was read by a
process that died before it asked is claimed after two seconds. All blocking layers read under one consumer's name, so that processes
that come and go leave no consumers behind. docs/protocol/lifecycle.md, "Adoption".
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import Any

import hiredis

from channel_layer.blocking.commands import Commands, is_error
from channel_layer.encryption.encryption import Encryption
from channel_layer.errors import ProtocolError, Undecryptable
from channel_layer.messaging.entry import Entry
from channel_layer.protocol.events import Event
from channel_layer.protocol.keys import GROUP, Keys
from channel_layer.protocol.names import BLOCKING_ROLE
from channel_layer.protocol.packets import MESSAGE
from channel_layer.redis.rejection_reasons import refusal
from channel_layer.redis.scripts import CANCEL, MAKE_GROUP, TAKE_MESSAGES

log = logging.getLogger("towpath.layer")

PENDING_MS = 2_000
CLAIM_INTERVAL_S = 1.0
REMEMBERED_MAX = 1_024
#: How long an empty channel with a consumer group is kept.
CHANNEL_TTL_MS = 60_000

#: An entry as it was read: its id and its fields.
Found = tuple[bytes, list[bytes]]


class SharedReceiver:
    """Receives for one blocking layer. For any thread."""

    def __init__(self, commands: Commands, keys: Keys, encryption: Encryption, counters: Counter[str]) -> None:
        """counters: of what is dropped."""
        self._commands = commands
        self._keys = keys
        self._encryption = encryption
        self._claimed_at: dict[str, float] = {}  # by channel: when pending entries were last looked for
        self._counters = counters

    def receive(self, channel: str, timeout_s: float | None) -> Event:
        """Wait for the next message. timeout_s: None waits for ever. Raises TimeoutError, LayerUnavailable."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            self._encryption.refresh_if_due()  # each turn, since it may wait for days
            found = self._claim(channel) or self._read(channel, end)
            if found is not None:
                event = self._take(channel, found)
                if event is not None:
                    return event
            elif end is not None and time.monotonic() >= end:
                raise TimeoutError(f"no message on {channel} within {timeout_s:g} s")

    def _claim(self, channel: str) -> Found | None:
        """An entry that another reader has left behind, if it is time to look for one."""
        now = time.monotonic()
        if now - self._claimed_at.get(channel, -CLAIM_INTERVAL_S) < CLAIM_INTERVAL_S:
            return None
        stream = self._keys.channel(channel)
        answer = self._commands.pool.call("XAUTOCLAIM", stream, GROUP, BLOCKING_ROLE, PENDING_MS, "0-0", "COUNT", 1)
        if self._has_group(channel, answer):
            entries: list[Any] = [entry for entry in answer[1] if entry is not None and entry[1]]
            if entries:
                return entries[0][0], entries[0][1]
        if len(self._claimed_at) >= REMEMBERED_MAX:
            self._claimed_at.clear()
        self._claimed_at[channel] = now
        return None

    def _read(self, channel: str, end: float | None) -> Found | None:
        """The next entry; None if none comes within a second, or before `end`."""
        block_s = CLAIM_INTERVAL_S if end is None else min(CLAIM_INTERVAL_S, end - time.monotonic())
        block = ("BLOCK", max(1, int(block_s * 1000))) if block_s > 0 else ()
        command = (
            "XREADGROUP",
            "GROUP",
            GROUP,
            BLOCKING_ROLE,
            "COUNT",
            1,
            *block,
            "STREAMS",
            self._keys.channel(channel),
            ">",
        )
        answer = self._commands.pool.call(*command, block_s=max(0.0, block_s))
        if not self._has_group(channel, answer) or answer is None:
            return None
        entry_id, fields = answer[0][1][0]
        return entry_id, fields

    def _has_group(self, channel: str, answer: Any) -> bool:
        """True if a read has succeeded. A group that is missing is made. Raises NothingSent if Redis refused the read."""
        if is_error(answer, "NOGROUP"):
            self._commands.run_script(MAKE_GROUP, [self._keys.channel(channel)], GROUP, CHANNEL_TTL_MS)
            return False
        if is_error(answer, "UNBLOCKED"):  # the stream has expired meanwhile
            return False
        if isinstance(answer, hiredis.ReplyError):
            raise refusal(answer)(f"Redis refused to read {channel}: {answer}")
        return True

    def _take(self, channel: str, found: Found) -> Event | None:
        """The message of an entry, if it is ours and was not too late."""
        entry_id, fields = found
        keys = (self._keys.channel(channel), self._keys.channel_size(channel))
        size_bytes = len(fields[1])
        try:
            entry = Entry.of(entry_id, size_bytes, self._encryption.batch_reader(keys[0])(fields[1]), MESSAGE)
        except Undecryptable as error:  # the entry stays: a process with its key claims it
            self._encryption.report(f"an entry of {channel}", error)
            self._counters["packets.undecryptable"] += 1
            return None
        except ProtocolError as error:
            log.warning("dropped an entry of %s: %s", channel, error)
            self._counters["packets.malformed_batch"] += 1
            self._commands.run_script(CANCEL, keys, GROUP, entry_id, size_bytes)
            return None
        (verdict,) = self._commands.run_script(TAKE_MESSAGES, keys, GROUP, entry_id, size_bytes, entry.deadline_ms)
        if verdict < 0:
            self._counters["dropped.expired"] += 1
        return entry.event if verdict > 0 else None
