"""What an answer of Redis, a packet or an action means for the end of a connection: tables and a rule for upstream.py."""

from __future__ import annotations

from typing import Final

from channel_layer.messaging.channel_writer import Outcome
from channel_layer.protocol.packets import AdoptionRefusal, Cancel, Close
from interface_server.connections.connection import Connection
from interface_server.connections.interfaces import EndReason
from interface_server.connections.transitions import Action, Trigger

#: By the outcome of an `open` that has no known entry.
TRIGGER_OF_OUTCOME: Final = {
    Outcome.FULL: Trigger.FULL,
    Outcome.UNAVAILABLE: Trigger.UNAVAILABLE,
    Outcome.UNKNOWN: Trigger.UNKNOWN,
}

#: By the action that ends a connection: the reason for the client's side.
END_REASON_OF_ACTION: Final = {
    Action.END_FULL: EndReason.FULL,
    Action.END_LATE: EndReason.LATE,
    Action.END_UNAVAILABLE: EndReason.UNAVAILABLE,
    Action.END_DIED: EndReason.DIED,
    Action.END_UNKNOWN: EndReason.UNKNOWN,
    Action.END_PACKETS_LOST: EndReason.PACKETS_LOST,
    Action.END_OUTAGE: EndReason.OUTAGE,
}
#: The ends of a connection that is not accepted yet. The client of an open WebSocket is asked to connect again.
NOT_ACCEPTED: Final = frozenset((Action.END_FULL, Action.END_LATE, Action.END_UNAVAILABLE))
#: What the owner is sent at an end that it cannot know of.
CANCEL_OF_ACTION: Final = {Action.END_PACKETS_LOST: Cancel.PACKETS_LOST, Action.END_OUTAGE: Cancel.LEFT}

#: By the number in a `close` packet: the reason for the client's side.
END_REASON_OF_CLOSE: Final[dict[int, EndReason]] = {
    Close.FINISHED: EndReason.FINISHED,
    Close.FAILED: EndReason.FAILED,
    Close.STOPPING: EndReason.STOPPING,
    Close.UNKNOWN: EndReason.UNKNOWN,
}

#: Any other: the worker was too late.
TRIGGER_OF_REFUSAL: Final = {
    int(AdoptionRefusal.ERA): Trigger.REDIS_EMPTY,
    int(AdoptionRefusal.NOT_TAKEN): Trigger.NOT_STARTED,
    int(AdoptionRefusal.LEAVING): Trigger.NOT_STARTED,
}


def may_be_sent_again(connection: Connection, is_unbegun: bool) -> bool:
    """True if its client may be told to send it again, when the interface server ends before the response has begun.

    No worker has begun with it, as far as is known, and a second start does no harm. is_unbegun: it was sent to its owner directly, and not
    acknowledged.
    """
    return connection.may_start_twice and (connection.owner is None or (is_unbegun and not connection.started))
