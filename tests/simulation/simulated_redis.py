"""A server of the commands that Towpath uses, in one process with all others and on virtual time.

It knows nothing of the network (network.py decides when a command arrives, and whether its answer does). Scripts are the real ones,
run by a real Lua. What Redis would refuse or does not know here is an error, so that the simulation cannot flatter the code.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

from channel_layer.redis import scripts as redis_scripts
from tests.simulation.lua_scripts import Command, CommandError, run
from tests.simulation.simulated_streams import Group, Stream, parse, shown
from tests.simulation.virtual_loop import VirtualClock

EPOCH_MS = 1_700_000_000_000
BLOCKED = object()
#: How many of its last writes a fail-over can lose.
WRITES_LOST_MAX = 8
#: What a Redis without memory refuses (`denyoom`), in a script only before its first write.
NEEDS_MEMORY = frozenset({b"XADD", b"SET", b"INCRBY", b"DECRBY", b"ZADD", b"XGROUP"})
OUT_OF_MEMORY = "OOM command not allowed when used memory > 'maxmemory'."
READS = frozenset(
    {b"XREAD", b"GET", b"MGET", b"INFO", b"TIME", b"ZRANGEBYSCORE", b"XREVRANGE", b"PUBLISH", b"SUBSCRIBE", b"EXISTS"}
)
READS_IN_SCRIPTS = frozenset({b"XLEN", b"PTTL", b"XINFO", b"XPENDING", b"EVAL", b"EVALSHA"})


class SeveralAnswers(list[Any]):
    """What answers one command and arrives together: SUBSCRIBE is answered for each of its channels."""


class Session:
    """One connection as the server sees it. `answer` gets each answer; a lost one is `gone` when the server notices."""

    def __init__(self, answer: Callable[[Any], None]) -> None:
        self.answer = answer
        self.gone = False
        self.queue: deque[Command] = deque()  # commands behind a blocked one
        self.read: Command | None = None  # the blocking read that waits
        self.read_number = 0
        self.groups: set[bytes] = set()


class SimulatedRedis:
    """All keys, and who waits for what."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.keys: dict[bytes, Any] = {}
        self._expires_ms: dict[bytes, int] = {}
        self._readers: dict[bytes, list[Session]] = {}  # by key: blocked, in the order of coming
        self._touched: list[bytes] = []
        self._scripts: dict[bytes, str] = {}
        self._life = 0  # grows whenever its data becomes another
        self._ahead_ms = 0  # of everybody else's clock
        self.full_until = 0.0  # without memory
        self._written = False  # by the script that runs
        #: What each of the last writes has changed, as it was before: by key its value and when it expires.
        self._undo: deque[dict[bytes, tuple[Any, int | None]]] = deque(maxlen=WRITES_LOST_MAX)
        self._subscribers: dict[bytes, list[Session]] = {}
        #: Entries that the cancel script withdrew: whoever starts one of them breaks P3.
        self.withdrawn: list[bytes] = []

    @property
    def now_ms(self) -> int:
        """The server's own clock."""
        return EPOCH_MS + int(self._clock.now * 1000) + self._ahead_ms

    def execute(self, session: Session, command: Command) -> None:
        """A command arrives; its answer goes to `session.answer`, perhaps much later."""
        if session.gone:
            return
        if session.read is not None:
            session.queue.append(command)
            return
        if command[0].upper() not in READS:
            self._remember(command)
        answer = self._answer(session, command)
        if answer is not BLOCKED:
            session.answer(answer)
        self._serve()

    def drop(self, session: Session) -> None:
        """The server has noticed that a connection is lost."""
        session.gone = True
        self._unblock(session)
        for group in session.groups:
            self._subscribers[group].remove(session)
        session.groups.clear()

    def begin_anew(self, writes_lost: int | None, ahead_ms: int) -> None:
        """Another life: a server that has not got the last few writes (None: nothing at all), and a clock of its own.

        It knows neither the old one's connections nor its scripts.
        """
        for session in [*itertools.chain(*self._readers.values(), *self._subscribers.values())]:
            self.drop(session)
        self._life += 1
        self._ahead_ms += ahead_ms
        self._scripts.clear()
        if writes_lost is None:
            self.keys.clear()
            self._expires_ms.clear()
        else:
            for _ in range(min(writes_lost, len(self._undo))):
                self._take_back(self._undo.pop())
        self._undo.clear()
        self._touched.clear()

    def flush(self) -> None:
        """FLUSHALL, from somebody else: the data goes, the connections and the scripts stay."""
        self.do_del(*list(self.keys))
        self._undo.clear()
        self._serve()

    def _remember(self, command: Command) -> None:
        before: dict[bytes, tuple[Any, int | None]] = {}
        for key in _keys_of(command):
            value = self.keys.get(key)
            before[key] = (value.copy() if isinstance(value, Stream | dict) else value, self._expires_ms.get(key))
        self._undo.append(before)

    def _take_back(self, before: dict[bytes, tuple[Any, int | None]]) -> None:
        for key, (value, expires_ms) in before.items():
            self.keys.pop(key, None)
            self._expires_ms.pop(key, None)
            if value is not None:
                self.keys[key] = value
            if expires_ms is not None:
                self._expires_ms[key] = expires_ms

    def without_ttl(self) -> list[bytes]:
        """Keys that would stay for ever."""
        return [key for key in list(self.keys) if self._get(key) is not None and key not in self._expires_ms]

    def _answer(self, session: Session, command: Command) -> Any:
        name = command[0].upper()
        self._written = False
        try:
            if name in (b"XREAD", b"XREADGROUP"):
                return self._read_or_block(session, command)
            if name in (b"SUBSCRIBE", b"UNSUBSCRIBE"):
                return SeveralAnswers(self._subscribe(session, name, group) for group in command[1:])
            return self._run(command)
        except CommandError as error:
            return error

    def _run(self, command: Command) -> Any:
        handler = getattr(self, "do_" + command[0].decode().lower(), None)
        if handler is None:
            raise CommandError(f"ERR unknown command {command!r}")
        name = command[0].upper()
        if name in NEEDS_MEMORY and not self._written and self._clock.now < self.full_until:
            if command[1:2] != [b"DELCONSUMER"]:
                raise CommandError(OUT_OF_MEMORY)
        self._written = self._written or name not in (READS | READS_IN_SCRIPTS)
        return handler(*command[1:])

    # -- keys

    def _get(self, key: bytes) -> Any:
        if self._expires_ms.get(key, self.now_ms + 1) <= self.now_ms:
            self.do_del(key)
        return self.keys.get(key)

    def _stream(self, key: bytes) -> Stream:
        stream = self._get(key)
        if stream is None:
            stream = self.keys[key] = Stream()
        assert isinstance(stream, Stream)
        return stream

    def do_del(self, *keys: bytes) -> int:
        gone = [key for key in keys if self.keys.pop(key, None) is not None]
        for key in gone:
            self._expires_ms.pop(key, None)
            self._touched.append(key)
        return len(gone)

    def do_exists(self, key: bytes) -> int:
        return int(self._get(key) is not None)

    def do_get(self, key: bytes) -> Any:
        return self._get(key)

    def do_mget(self, *keys: bytes) -> list[Any]:
        return [self._get(key) for key in keys]

    def do_set(self, key: bytes, value: bytes, *options: bytes) -> Any:
        old = self._get(key)
        assert options[0] == b"PX"
        self.keys[key] = value
        self._expires_ms[key] = self.now_ms + int(options[1])
        return old if b"GET" in options else b"OK"

    def do_incrby(self, key: bytes, by: bytes) -> int:
        value = int(self._get(key) or 0) + int(by)
        self.keys[key] = b"%d" % value
        return value

    def do_decrby(self, key: bytes, by: bytes) -> int:
        return self.do_incrby(key, b"%d" % -int(by))

    def do_pttl(self, key: bytes) -> int:
        if self._get(key) is None:
            return -2
        return self._expires_ms[key] - self.now_ms if key in self._expires_ms else -1

    def do_pexpire(self, key: bytes, ttl_ms: bytes) -> int:
        if self._get(key) is None:
            return 0
        self._expires_ms[key] = self.now_ms + int(float(ttl_ms))
        return 1

    def do_time(self) -> list[bytes]:
        seconds, milliseconds = divmod(self.now_ms, 1000)
        return [b"%d" % seconds, b"%d" % (milliseconds * 1000)]

    def do_info(self, _section: bytes = b"") -> bytes:
        return b"redis_version:7.2.0\r\nrun_id:%08d89abcdef\r\n" % self._life

    # -- sorted sets

    def do_zadd(self, key: bytes, *arguments: bytes) -> int:
        *only_known, score, member = arguments
        members = self._get(key)
        if only_known and member not in (members or {}):
            return 0
        if members is None:
            members = self.keys[key] = {}
        members[member] = float(score)
        return 1

    def do_zrem(self, key: bytes, member: bytes) -> int:
        members = self._get(key) or {}
        found = members.pop(member, None) is not None
        if not members:
            self.do_del(key)
        return int(found)

    def do_zrangebyscore(self, key: bytes, low: bytes, high: bytes) -> list[bytes]:
        assert high[:1] == b"(" or high == b"+inf"
        least, below = float(low), float(high.removeprefix(b"("))
        members = self._get(key) or {}
        return sorted(
            (member for member, score in members.items() if least <= score < below),
            key=lambda member: (members[member], member),
        )

    # -- streams

    def do_xadd(self, key: bytes, *arguments: bytes) -> bytes | None:
        if arguments[0] == b"NOMKSTREAM":
            if self._get(key) is None:
                return None
            arguments = arguments[1:]
        assert arguments[0] == b"*"
        self._touched.append(key)
        return self._stream(key).add(self.now_ms, list(arguments[1:]))

    def do_xlen(self, key: bytes) -> int:
        stream = self._get(key)
        return len(stream.entries) if stream else 0

    def do_xdel(self, key: bytes, *ids: bytes) -> int:
        stream = self._get(key)
        return sum(stream.entries.pop(parse(entry_id), None) is not None for entry_id in ids) if stream else 0

    def do_xtrim(self, key: bytes, how: bytes, what: bytes) -> int:
        stream = self._get(key)
        if stream is None:
            return 0
        keep = 0 if how == b"MAXLEN" else None
        assert how in (b"MAXLEN", b"MINID") and (keep is None or int(what) == 0)
        old = [entry_id for entry_id in stream.entries if keep == 0 or entry_id < parse(what)]
        for entry_id in old:
            del stream.entries[entry_id]
        return len(old)

    def do_xrevrange(self, key: bytes, high: bytes, _low: bytes, _count: bytes, count: bytes) -> list[Any]:
        stream = self._get(key)
        found = [entry_id for entry_id in stream.entries if entry_id <= parse(high)] if stream else []
        newest = found[-int(count) :]
        return [[shown(entry_id), stream.entries[entry_id]] for entry_id in reversed(newest)]

    def do_xinfo(self, what: bytes, key: bytes) -> list[Any]:
        stream = self._get(key)
        if stream is None:
            raise CommandError("ERR no such key")
        if what == b"GROUPS":
            return [[b"name", name, b"last-delivered-id", shown(group.last)] for name, group in stream.groups.items()]
        return [b"length", len(stream.entries), b"last-generated-id", shown(stream.last)]

    def do_xgroup(self, what: bytes, key: bytes, group: bytes, *rest: bytes) -> Any:
        if what == b"DELCONSUMER":
            pending = self._group(key, group)[1].pending
            for entry_id in [entry_id for entry_id, (consumer, _) in pending.items() if consumer == rest[0]]:
                del pending[entry_id]
            return 0
        stream = self._stream(key)
        if group in stream.groups:
            raise CommandError("BUSYGROUP Consumer Group name already exists")
        stream.groups[group] = Group(parse(rest[0]))
        return b"OK"

    def do_xack(self, key: bytes, group: bytes, *ids: bytes) -> int:
        stream = self._get(key)
        if stream is None or group not in stream.groups:
            return 0
        return sum(stream.groups[group].pending.pop(parse(entry_id), None) is not None for entry_id in ids)

    def do_xpending(
        self, key: bytes, group: bytes, _low: bytes, _high: bytes, count: bytes, consumer: bytes
    ) -> list[Any]:
        pending = self._group(key, group)[1].pending
        return [[shown(entry_id)] for entry_id, (owner, _) in pending.items() if owner == consumer][: int(count)]

    def do_xautoclaim(
        self, key: bytes, group: bytes, consumer: bytes, idle: bytes, start: bytes, *count: bytes
    ) -> list[Any]:
        stream, found = self._group(key, group)
        claimed = stream.claim(found, consumer, int(idle), int(count[1]), self.now_ms)
        return [b"0-0", [list(entry) for entry in claimed], []]

    def _group(self, key: bytes, group: bytes) -> tuple[Stream, Group]:
        stream = self._get(key)
        if stream is None or group not in stream.groups:
            raise CommandError(f"NOGROUP No such key '{key!r}' or consumer group '{group!r}'")
        return stream, stream.groups[group]

    # -- reads that wait

    def _read_or_block(self, session: Session, command: Command) -> Any:
        found = self._try_read(command)
        if found is not None or b"BLOCK" not in command:
            return found
        key = command[-2]
        session.read = command
        session.read_number += 1
        number = session.read_number
        self._readers.setdefault(key, []).append(session)
        block_ms = int(command[[part.upper() for part in command].index(b"BLOCK") + 1])
        self._clock.at(self._clock.now + block_ms / 1000, lambda: self._timed_out(session, number))
        return BLOCKED

    def _try_read(self, command: Command) -> Any:
        key, start = command[-2:]
        count = int(command[[part.upper() for part in command].index(b"COUNT") + 1])
        if command[0].upper() == b"XREADGROUP":
            stream, group = self._group(key, command[2])
            found = stream.read(group, command[3], count, self.now_ms)
        else:
            stream = self._get(key)
            found = stream.after(parse(start), count) if stream else []
        return [[key, [list(entry) for entry in found]]] if found else None

    def _serve(self) -> None:
        """After each command: who waited for what it changed?"""
        while self._touched:
            key = self._touched.pop(0)
            for session in list(self._readers.get(key, ())):
                self._try_again(session, key)

    def _try_again(self, session: Session, key: bytes) -> None:
        assert session.read is not None
        try:
            found = self._try_read(session.read)
        except CommandError:
            found = CommandError("UNBLOCKED the stream key no longer exists")
        if found is not None:
            self._go_on(session, found)

    def _timed_out(self, session: Session, number: int) -> None:
        if session.read is not None and session.read_number == number:
            self._go_on(session, None)
            self._serve()

    def _go_on(self, session: Session, answer: Any) -> None:
        self._unblock(session)
        session.answer(answer)
        while session.queue and session.read is None:
            self.execute(session, session.queue.popleft())

    def _unblock(self, session: Session) -> None:
        if session.read is not None:
            self._readers[session.read[-2]].remove(session)
            session.read = None

    # -- scripts, publish and subscribe

    def do_evalsha(self, digest: bytes, count: bytes, *rest: bytes) -> Any:
        if digest not in self._scripts:
            raise CommandError("NOSCRIPT No matching script. Please use EVAL.")
        return self._script(self._scripts[digest], int(count), rest)

    def do_eval(self, text: bytes, count: bytes, *rest: bytes) -> Any:
        self._scripts[hashlib.sha1(text).hexdigest().encode()] = text.decode()
        return self._script(text.decode(), int(count), rest)

    def _script(self, text: str, count: int, rest: tuple[bytes, ...]) -> Any:
        keys, arguments = list(rest[:count]), list(rest[count:])
        if text != redis_scripts.CANCEL.text:
            return run(text, self._run, keys, arguments)
        stream = self._get(keys[0])
        entry = stream.entries.get(parse(arguments[1])) if stream else None
        won = run(text, self._run, keys, arguments)
        if won and entry is not None:
            self.withdrawn.append(entry[1])
        return won

    def do_publish(self, group: bytes, content: bytes) -> int:
        reached = list(self._subscribers.get(group, ()))
        for session in reached:
            session.answer([b"message", group, content])
        return len(reached)

    def _subscribe(self, session: Session, name: bytes, group: bytes) -> list[Any]:
        members = self._subscribers.setdefault(group, [])
        if name == b"SUBSCRIBE" and session not in members:
            members.append(session)
            session.groups.add(group)
        elif name == b"UNSUBSCRIBE" and session in members:
            members.remove(session)
            session.groups.discard(group)
        return [name.lower(), group, len(session.groups)]


def _keys_of(command: Command) -> Command:
    """What a command may change."""
    name = command[0].upper()
    if name in (b"EVAL", b"EVALSHA"):
        return command[3 : 3 + int(command[2])]
    return command[-2:-1] if name == b"XREADGROUP" else command[1:2]
