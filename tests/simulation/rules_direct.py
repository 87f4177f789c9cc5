"""The rules of direct dispatch, each with a way to switch it off. They matter in schedules that name "direct"."""

from __future__ import annotations

from typing import Any

from channel_layer.messaging.outbox import _Destination
from channel_layer.protocol import packets
from channel_layer.protocol.packets import Cancel
from interface_server.connections.direct_dispatch import DirectDispatch
from interface_server.connections.dispatcher import Dispatcher
from interface_server.direct.inviting_workers import InvitingWorker, InvitingWorkers
from worker.connections.direct_requests import DirectRequest
from worker.connections.downstream import DownstreamConnection
from worker.connections.invitations import Invitations


def _nothing(*_: Any) -> None:
    """The rule's deed is not done."""


def _is_always_next(self: Invitations, interface: str, number: int) -> bool:
    self._last[interface] = max(number, self.last(interface))
    return True


def _sent_as_if_each_might_start_twice(self: InvitingWorker, number: int, now: float, may_start_twice: bool) -> None:
    self.unbegun[number] = now
    self.requests += 1


def _give_back_what_runs(self: DownstreamConnection, why: int, code: int, reason: str) -> None:
    """Answer a recall of what has begun as if it had not."""
    if why == Cancel.RECALLED:
        self._registry.post(self.key[0], packets.close(self.key[1], self.key[2], packets.Close.NOT_STARTED))
    else:
        self.disconnect(code, reason)


_withdraw_unsent = _Destination.withdraw_unsent


def _withdraw_whatever_is_refused(self: _Destination) -> list[tuple[int, int]]:
    self.uncertain = 0
    return _withdraw_unsent(self)


#: As `RULES` in rules.py.
DIRECT: dict[str, list[tuple[Any, str, Any]]] = {
    "a request that is read twice begins once": [(Invitations, "is_next", _is_always_next)],
    "what may start only once begins when its acknowledgement is confirmed": [
        (DirectRequest, "once", property(lambda self: False))
    ],
    "where Redis may have lost acknowledgements, all counts as begun": [
        (InvitingWorkers, "acknowledged_all", _nothing)
    ],
    "what a worker that left had not acknowledged was not begun": [
        (DirectDispatch, "never_began", lambda self, connection: False)
    ],
    "what may start only once is asked back, and not taken": [
        (InvitingWorker, "sent", _sent_as_if_each_might_start_twice)
    ],
    "what Redis may have is not withdrawn when it is refused later": [
        (_Destination, "withdraw_unsent", _withdraw_whatever_is_refused)
    ],
    "whose `open` is withdrawn learns it": [(Dispatcher, "on_unsent", _nothing)],
    "what has begun is not given back": [(DownstreamConnection, "on_cancel", _give_back_what_runs)],
}
