"""What is said to a WebSocket's client: the application's messages, and those of third parties.

The application's are bounded by credit, which is given back while the transport's buffer is below its high-water mark.
Third parties cannot wait for 50 000 clients: what they send to a client that does not read is bounded here, in bytes and in time, and
beyond it the socket is closed. What the application sends by itself does not count for that. Nearly always a message is one frame,
written at once; for a group the very same bytes for all. P1, P5.
"""

from __future__ import annotations

from channel_layer.protocol.events import Event
from interface_server.groups.interfaces import PushedMessage
from interface_server.websocket.connection_base import Socket
from interface_server.websocket.frames import message_frame
from interface_server.websocket.message_encoder import Composer
from interface_server.websocket.state import Action, State, push_meaning, sendable_code

#: What a sender's nonsense raises while a frame is built of it; nothing was written then.
_NO_MESSAGE = (TypeError, ValueError, AttributeError)
#: Of groups and third parties. So much may wait for a client as long as it likes; with more it has to keep up.
PUSHED_TOLERATED_BYTES = 1_048_576


class Writing(Socket):
    """The half that speaks."""

    __slots__ = ()

    def _send(self, event: Event) -> None:
        """One `websocket.send` of the application's: a message, or with `more_body` a part of one."""
        try:
            data = message_frame(event) if self._clear and "more_body" not in event else self._compose(event)
        except _NO_MESSAGE as error:
            self._at_fault(f"websocket.send cannot be sent: {error!r}")
            return
        self._transport.write(data)
        if self._composer is not None and not self._composer.inside_message:
            self._message_end(self._composer)

    def _compose(self, event: Event) -> bytes:
        composer = self._composer
        if composer is None:
            if not event.get("more_body"):
                return message_frame(event)
            composer = Composer()
        data = composer.compose(event)
        self._composer = composer
        self._clear = False
        return data

    def _message_end(self, composer: Composer) -> None:
        """A composed message is over: what waited for that may go."""
        if self._deflate is None:
            self._composer = None
            self._clear = not self._writing_paused
        else:
            self._deflate._compressor = None  # 100 KiB each, and without takeover of no further use
        for pushed in composer.take_waiting():
            self.push(pushed)

    @property
    def mid_message(self) -> bool:
        """See `Client.torn`."""
        return self._composer is not None and self._composer.inside_message

    @property
    def request(self) -> str:
        """See `Client.request`."""
        return ""

    def push(self, pushed: PushedMessage) -> None:
        if self._clear:
            data = pushed.frame
            if data is not None:
                self._transport.write(data)
                return
        event = pushed.event
        action = push_meaning(self._state, event.get("type"))
        if action is Action.SEND:
            try:
                self._push_message(pushed)
            except _NO_MESSAGE:
                self._shared.context.counters["dropped.push_invalid"] += 1
        elif action is Action.CLOSE:
            self._close(sendable_code(event.get("code")), str(event.get("reason") or ""))
        else:
            self._shared.context.counters["dropped.push_not_open"] += 1

    def _push_message(self, pushed: PushedMessage) -> None:
        composer = self._composer
        data = b""
        if composer is None:
            if pushed.frame is None:
                pushed.frame = message_frame(pushed.event)
            data = pushed.frame
        elif composer.inside_message:
            composer.wait(pushed)
        else:
            data = composer.compose({**pushed.event, "more_body": False})
            self._message_end(composer)
        if data:
            self._transport.write(data)
        if self._writing_paused:
            self._pushed += len(data)
        self._look_at_what_waits(composer)

    def _look_at_what_waits(self, composer: Composer | None) -> None:
        """Much of it has time; more than is allowed at all has none."""
        waiting = self._pushed_waiting() + (composer.waiting_bytes if composer is not None else 0)
        context = self._shared.context
        if waiting > context.settings.ws_push_bytes_max:
            self._give_up("slow")
        elif self._pushed > PUSHED_TOLERATED_BYTES:
            context.slow.watch(self._transport, context.now, self._too_slow)

    def _pushed_waiting(self) -> int:
        """At most so much of what groups and third parties sent has not left for the kernel."""
        return min(self._pushed, self._transport.get_write_buffer_size()) if self._pushed else 0

    def _too_slow(self) -> None:
        """The client has not kept up; no matter if little waits for it."""
        if self._state is State.OPEN and self._pushed_waiting() > PUSHED_TOLERATED_BYTES:
            self._give_up("slow")

    def pause_writing(self) -> None:
        self._writing_paused = True
        self._clear = False
        context = self._shared.context
        context.stalled.watch(self._transport, context.now, self._stalled)

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._pushed = 0
        self._shared.context.slow.forget(self._transport)
        self._clear = self._state is State.OPEN and self._composer is None
        self._shared.context.stalled.forget(self._transport)
        size_bytes, self._undelivered = self._undelivered, 0
        if size_bytes and self._upstream is not None:
            self._upstream.delivered(size_bytes)

    def _stalled(self) -> None:
        if self._state is State.OPEN:
            self._give_up("stalled")
        else:
            self._abort("stalled")
