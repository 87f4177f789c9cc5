"""The calls of the channel layer for code without an event loop.

    layer = channel_layer.connect_blocking("redis://…")
    layer.group_send("room", {"type": "websocket.send", "text": "hello"})

One object serves all threads of a process, and a forked child may go on to use it. A call blocks its thread alone, for one round trip to
Redis; `group_add`, `group_discard` and `receive` need more. Names, messages and errors are those of layer.py.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache, partial
from types import TracebackType
from typing import Any

from channel_layer.application.capacities import LayerSettings
from channel_layer.application.shared_commands import (
    channels_command,
    channels_to_send_to,
    check_shared,
    drop_channels,
    drop_memberships,
    groups_command,
    join_terms,
    statistics,
    statistics_commands,
    too_many,
)
from channel_layer.blocking.commands import Commands
from channel_layer.blocking.entries import Entries
from channel_layer.blocking.key_agreement import KeyAgreement
from channel_layer.blocking.owner_requests import JOINED_KNOWN, UNNUMBERED, OwnerRequests
from channel_layer.blocking.pool import ConnectionPool
from channel_layer.blocking.script_call import ScriptCall
from channel_layer.blocking.shared_receiver import SharedReceiver
from channel_layer.blocking.shared_sender import SharedSender
from channel_layer.encryption.encryption import Encryption
from channel_layer.errors import (
    ChannelFull,
    ChannelGone,
    ChannelLayerError,
    InvalidName,
    LayerUnavailable,
    NothingSent,
)
from channel_layer.messaging.group_sequence import COUNTER_TTL_MS
from channel_layer.process.log_values import shown
from channel_layer.protocol import packets
from channel_layer.protocol.codec import check_size, pack_threadsafe
from channel_layer.protocol.events import Event, check_message
from channel_layer.protocol.keys import Keys
from channel_layer.protocol.names import check_channel, check_channel_prefix, check_exclude, check_group
from channel_layer.protocol.packets import Packet
from channel_layer.protocol.socket_messages import CHECKS, misfit, report_message, socket_message
from channel_layer.redis.address_file import address_source
from channel_layer.redis.scripts import JOIN_SHARED, PUBLISH
from channel_layer.settings import RedisSettings

NEW_CHANNEL_PREFIX = "specific"
RANDOM_BYTES = 8
GROUPS_REMEMBERED_MAX = 1_024  #: of so many the beginning of the command is kept
TIMEOUT_MAX_S = 86_400  #: sockets take little more than three weeks


class BlockingChannelLayer:
    """The channel layer of one process, for any number of threads. Made by `channel_layer.connect_blocking`."""

    def __init__(self, redis: RedisSettings, settings: LayerSettings, connections_max: int, timeout_s: float) -> None:
        """Connect to nothing yet. timeout_s: for connecting, and for each answer. Raises ValueError for values that are none."""
        _check_limits(connections_max, timeout_s)
        source = address_source(redis.url)
        self._keys = Keys(redis.prefix, source.current().db)
        self._encryption = encryption = Encryption.of(redis)
        self._settings = settings
        self.counters: Counter[str] = Counter()  #: what was dropped, by the names in OPERATIONS.md
        check = KeyAgreement(self._keys, encryption).check
        self._commands = Commands(ConnectionPool(source, connections_max, timeout_s, check))
        self._owners = OwnerRequests(self._commands, self._keys, encryption, timeout_s, self.counters)
        self._receiver = SharedReceiver(self._commands, self._keys, encryption, self.counters)
        self._entries = Entries(encryption)
        self._sender = SharedSender(self._commands, self._keys, self._entries, settings, redis.queue_size_bytes_max)
        self._publication_of = lru_cache(GROUPS_REMEMBERED_MAX)(partial(_publication, self._keys))

    def send(self, channel: str, message: Event, confirm: bool = False) -> None:
        """Send `message` to `channel` in one round trip, or raise and send nothing.

        channel: a shared channel, an application channel (`<node>!specific.…`) of any process, or a reply channel
        (`<node>!<number>`), whose client gets the message: `websocket.send` or `websocket.close`, as an application sends them.
        confirm: wait for the owner of a reply channel or an application channel, and raise ChannelGone also if the channel was over when
        its owner got the message, InvalidMessage if its client never takes a message of this type. A message for a full application
        channel is dropped all the same.

        Raises InvalidName, InvalidMessage, MessageTooLarge (a caller's bug); ChannelFull for a shared channel;
        ChannelGone if the process that owns the channel has ended; NothingSent if Redis is unreachable or refuses;
        LayerUnavailable if it did not answer, which is the one case in which the message may have been sent.
        """
        node, separator, local = check_channel(channel).partition("!")
        check_message(message)
        if not separator:
            self._sender.send(channel, message)
        else:
            packet = self._packet(local, message)
            (self._post_confirmed if confirm else self._post)(node, channel, packet)

    def receive(self, channel: str, timeout: float | None = None) -> Event:
        """Wait for the next message of a shared channel, and return it.

        timeout: seconds; None waits for ever. Raises TimeoutError, InvalidName, NothingSent; LayerUnavailable if Redis did not answer: a
        message may be lost then. An exception of a signal handler may lose one too: one that Redis has given out by then, and none while
        nothing comes.
        """
        return self._receiver.receive(_check_received(channel), timeout)

    def new_channel(self, prefix: str = NEW_CHANNEL_PREFIX) -> str:
        """Return a new name, for messages to the caller: that of a shared channel which no other program knows.

        It needs no process that keeps it alive, and no end: what is not received in time expires.
        """
        return check_channel(f"{check_channel_prefix(prefix)}.{secrets.token_hex(RANDOM_BYTES)}")

    def group_add(self, group: str, channel: str, report_missed: Event | None = None) -> None:
        """Make `channel` a member of `group`. Messages that are sent to the group after this call has returned reach the channel.

        channel: a reply channel or an application channel; one that is over is not added and raises nothing. Or a shared channel, for
        `group_expiry`. report_missed: for a reply channel, the message that its client gets when messages to the group were lost on
        the way to its interface server.

        Raises InvalidName; InvalidMessage, MessageTooLarge for `report_missed`; ChannelFull if 1 000 other shared channels are members;
        LayerUnavailable (the outcome is unknown; adding again is harmless).
        """
        report = report_message(report_missed)
        if report and not check_channel(channel).partition("!")[2].isdecimal():
            raise InvalidName(f"{channel!r} is no client that could be sent a message about what it missed")
        if "!" in check_channel(channel):
            self._change_membership(partial(packets.join, report=report), group, channel)
            return
        keys, arguments = join_terms(self._keys, check_group(group), channel, self._settings.group_expiry_ms)
        if not self._commands.run_script(JOIN_SHARED, keys, *arguments):
            raise ChannelFull(too_many(group))

    def group_discard(self, group: str, channel: str) -> None:
        """Remove `channel` from `group`; harmless if it was no member. Raises as `group_add`."""
        if "!" in check_channel(channel):
            self._change_membership(packets.leave, group, channel)
        else:
            self._commands.execute("ZREM", self._keys.group_channels(check_group(group)), channel)

    def group_send(self, group: str, message: Event, exclude: Iterable[str] = ()) -> None:
        """Send `message` to every member by one command, and by one more for each shared channel among them.

        exclude: channels that do not get it. A shared channel that is full drops it (`counters`).

        Raises InvalidName, InvalidMessage; NothingSent, LayerUnavailable as `send`.
        """
        check_group(group)
        check_message(message)
        if message["type"] in CHECKS:
            message = socket_message(message)
        event = message  # without what only processes with members read
        if excluded := check_exclude(exclude):
            message = {**message, packets.EXCLUDE: excluded}
        self._encryption.refresh_if_due()
        published = self._encryption.published(self._keys.group(group), check_size(pack_threadsafe(message)))
        answer = self._commands.run(self._publication_of(group), published)
        for member in channels_to_send_to(answer, excluded):
            self._send_to_member(member, event)

    def flush(self) -> None:
        """Drop all messages in shared channels of applications, and their memberships. Connections stay. Raises LayerUnavailable."""
        keys, execute = self._keys, self._commands.execute
        for command in drop_channels(keys, execute(*channels_command(keys))):
            execute(*command)
        for command in drop_memberships(keys, execute(*groups_command(keys))):
            execute(*command)

    def statistics(self, channel: str) -> dict[str, int | float]:
        """`messages_pending` and `messages_max_age` (seconds) of a shared channel. Raises InvalidName, LayerUnavailable."""
        commands = statistics_commands(self._keys, _check_received(channel))
        return statistics([self._commands.execute(*command) for command in commands])

    def close(self) -> None:
        """End the connections to Redis. Calls under way finish first; later ones raise LayerUnusable."""
        self._commands.pool.close()

    def __enter__(self) -> BlockingChannelLayer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _send_to_member(self, channel: str, event: Event) -> None:
        """Send a message that is published already to a shared channel of its group. What fails is counted."""
        try:
            self._sender.send(channel, event)
        except ChannelFull:
            self.counters["dropped.channel_full"] += 1
        except ChannelLayerError:
            self.counters["groups.send_not_confirmed"] += 1

    def _packet(self, local: str, message: Event) -> Packet:
        """The packet of a message to a reply channel or an application channel, by the local part of its name."""
        if local.isdecimal():
            return packets.send(int(local), socket_message(message))
        return packets.message(local, message, self._settings.expiry_ms)

    def _post_confirmed(self, node: str, channel: str, packet: Packet) -> None:
        """Send one packet to the owner of a channel, between two `leave` from a group of no channel.

        The answer to the first tells if the channel exists: before the message, which may itself end the connection. That to the second
        comes behind `undeliverable`, if the owner answers the message with one.
        """
        check_size(pack_threadsafe(packet))
        self._encryption.refresh_if_due()
        leave = partial(packets.leave, packet[1], 0, secrets.token_hex(RANDOM_BYTES))
        answers = self._owners.ask(node, lambda number: (leave(UNNUMBERED), packet, leave(number)))
        if answers is None:
            raise LayerUnavailable(f"{node} has ended, and may have got the message before")
        if not next((answer[JOINED_KNOWN] for answer in answers if answer[0] == packets.JOINED), False):
            raise ChannelGone(f"{channel} is over")
        if any(answer[0] == packets.UNDELIVERABLE for answer in answers):
            raise misfit(packet[3]["type"], channel)

    def _post(self, node: str, channel: str, packet: Packet) -> None:
        """Send one packet to the owner of a channel.

        The inbox of a process that was killed outlives its lease by up to a minute: what is added there is removed again. If it cannot
        be, since it was read, the process lives.
        """
        inbox = self._keys.inbox(node)
        add = ("XADD", inbox, "NOMKSTREAM", "*", "b", self._entries.of(inbox, packet))
        added, lives = self._commands.write_and_look(add, ("EXISTS", self._keys.lease(node)))
        if lives and added is None:
            raise NothingSent(f"{node} takes no packets at the moment")
        if not lives and (added is None or self._commands.execute("XDEL", inbox, added)):
            raise ChannelGone(f"the process that owned {channel} has ended")

    def _change_membership(self, packet: Any, group: str, channel: str) -> None:
        check_group(group)
        node, _, local = channel.partition("!")
        member = int(local) if local.isdecimal() else local
        self._encryption.refresh_if_due()
        self._owners.ask(node, lambda number: (packet(member, 0, group, number),))


def _publication(keys: Keys, group: str) -> ScriptCall:
    """The command that sends a message to `group`."""
    names = (keys.group_sequence(group), keys.group_channels(group))
    return ScriptCall(PUBLISH, names, (keys.group(group),), (COUNTER_TTL_MS,))


def _check_limits(connections_max: object, timeout_s: object) -> None:
    """Raise ValueError with one sentence for values that are none."""
    if type(connections_max) is not int or connections_max < 1:
        raise ValueError(f"connections_max is a number of connections above 0, not {shown(connections_max)}")
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or not 0 < timeout_s <= TIMEOUT_MAX_S:
        raise ValueError(
            f"timeout is a number of seconds above 0 and at most {TIMEOUT_MAX_S:,}, not {shown(timeout_s)}"
        )


def _check_received(channel: str) -> str:
    """Return `channel` if it is a shared channel of applications; else raise InvalidName."""
    if "!" in check_channel(channel):
        raise InvalidName(f"{channel!r} belongs to a client or to another process: only its owner receives from it")
    return check_shared(channel)
