"""Batches as bytes: msgpack `[version, from_node, [packet, …]]`. No other file knows msgpack.

A batch is joined from packets that were packed one by one. So a packet is packed once, may wait, and may be sent again. Long bodies
stay as the application made them: only the bytes around them are packed, and the kernel copies all of it together. Reading is bounded
by the size of the entry, and by msgpack's own limit of depth. PROTOCOL.md, "Batches".
"""

from __future__ import annotations

from typing import Any, Final

import msgpack

from channel_layer.errors import InvalidMessage, MessageTooLarge, ProtocolError, Undecryptable
from channel_layer.process.log_values import shown
from channel_layer.protocol.events import Event
from channel_layer.protocol.names import is_node_name
from channel_layer.protocol.packets import LENGTH_MIN, OPEN, VERSION, Packet

PACKETS_MAX: Final = 512
BATCH_SIZE_BYTES_MAX: Final = 262_144
#: From this size on bytes are no longer copied on their way; below it a copy costs less than a piece more.
LONG_SIZE_BYTES_MIN: Final = 16_384
#: The most keys of a map whose head is one byte.
SHORT_MAP_KEYS_MAX: Final = 15
#: A message of an application. Redis ends a subscriber for which 32 MiB wait.
MESSAGE_SIZE_BYTES_MAX: Final = 16 * 1024 * 1024
#: What publish.lua puts in front of a message: an array of two begins, and a number of 8 bytes, which follow.
NUMBERED: Final = b"\x92\xcf"
NUMBERED_HEAD_BYTES: Final = 10

_Packer: Final = msgpack.Packer
_pack: Final = _Packer().pack  # one per process: only the loop's thread packs


def pack(value: Any) -> bytes:
    """`value` as msgpack. Raises InvalidMessage for a type that msgpack does not know."""
    try:
        packed: bytes = _pack(value)
        return packed
    except (TypeError, ValueError, OverflowError) as error:  # ValueError: also for surrogates in a str
        raise InvalidMessage(f"this cannot be packed: {error}") from error


class PackedInPieces:
    """A packed packet with long bodies, as the pieces to be joined."""

    __slots__ = ("_size_bytes", "pieces")

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self._size_bytes = sum(map(len, pieces))

    def __len__(self) -> int:
        return self._size_bytes


#: A packet as it waits for its batch.
Packed = bytes | PackedInPieces


def pack_in_pieces(packet: Packet) -> Packed:
    """As `pack`, for a `data`: its long bodies, if it has any, are pieces of their own."""
    events: list[Event] = packet[4]
    pieces = [b"".join((b"\x95", pack(packet[:4])[1:], b"\xdc", len(events).to_bytes(2, "big")))]
    for event in events:
        pieces += _event_in_pieces(event)
    return PackedInPieces(pieces) if max(map(len, pieces)) >= LONG_SIZE_BYTES_MIN else b"".join(pieces)


def _event_in_pieces(event: Event) -> list[bytes]:
    """The first long value of an event comes last in its map."""
    if len(event) <= SHORT_MAP_KEYS_MAX:
        for key, value in event.items():
            if type(value) is bytes and len(value) >= LONG_SIZE_BYTES_MIN:
                rest = pack({other: event[other] for other in event if other != key})[1:]
                size = len(value).to_bytes(4, "big")
                return [b"".join(((0x80 + len(event)).to_bytes(1, "big"), rest, pack(key), b"\xc6", size)), value]
    return [pack(event)]


def pack_threadsafe(value: Any) -> bytes:
    """`value` as msgpack, from any thread. Raises InvalidMessage as `pack`."""
    try:
        packed: bytes = _Packer().pack(value)  # half of the time of `packb`, which does the same
        return packed
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidMessage(f"this cannot be packed: {error}") from error


def check_size(packed: bytes) -> bytes:
    """Return a packed message, or raise MessageTooLarge."""
    if len(packed) > MESSAGE_SIZE_BYTES_MAX:
        raise MessageTooLarge(
            f"the message has {len(packed)} bytes; at most {MESSAGE_SIZE_BYTES_MAX} can be sent: send a reference to the data"
        )
    return packed


def unpack(packed: bytes) -> Any:
    """The value in `packed`. Raises ProtocolError."""
    try:
        return msgpack.unpackb(packed)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise ProtocolError(f"not msgpack: {error}") from error


def split_publish(content: bytes) -> tuple[int | None, bytes]:
    """(number, packed message) of what was published to a group. The number is None where an older process has published it."""
    if content[:2] == NUMBERED:
        return int.from_bytes(content[2:NUMBERED_HEAD_BYTES], "big"), content[NUMBERED_HEAD_BYTES:]
    return None, content


def batch_head(node: str) -> bytes:
    """The beginning of every batch of `node`; array head and packets follow."""
    return b"\x93" + pack(VERSION) + pack(node)


def packets_of_one_batch(packed: list[Packed]) -> int:
    """The number of `packed`, from the first on, that fit into one batch. At least one, of any size."""
    count = size = 0
    for each in packed[:PACKETS_MAX]:
        if count and size + len(each) > BATCH_SIZE_BYTES_MAX:
            break
        size += len(each)
        count += 1
    return count


def join_batch(head: bytes, packed: list[bytes]) -> bytes:
    """A batch of a head and packed packets."""
    return b"".join((head, b"\xdc", len(packed).to_bytes(2, "big"), *packed))


def connection_of_packet(packed: Packed) -> tuple[Any, Any]:
    """Number and epoch of a packed packet, which name its connection."""
    unpacker = msgpack.Unpacker()
    unpacker.feed(packed.pieces[0] if isinstance(packed, PackedInPieces) else packed)
    unpacker.read_array_header()
    unpacker.skip()
    return unpacker.unpack(), unpacker.unpack()


def connection_of_open(packed: Packed) -> tuple[int, int] | None:
    """Number and epoch, if this is an `open`. Its kind is the second byte of a packet, behind the head of a short array."""
    if isinstance(packed, PackedInPieces) or packed[1] != OPEN:
        return None
    return connection_of_packet(packed)


def batch_in_pieces(head: bytes, packed: list[Packed]) -> list[bytes]:
    """As `join_batch`, in pieces: what is short is joined, and what is long stays as it is."""
    pieces: list[bytes] = []
    short = [head, b"\xdc", len(packed).to_bytes(2, "big")]
    for each in packed:
        for piece in each.pieces if isinstance(each, PackedInPieces) else (each,):
            if len(piece) < LONG_SIZE_BYTES_MIN:
                short.append(piece)
            else:
                pieces += (b"".join(short), piece)
                short = []
    return [*pieces, b"".join(short)]


def unpack_batch(packed: bytes) -> tuple[str, list[list[Any]]]:
    """(sender, packets) of one batch. The fields after a packet's epoch are checked by its handler.

    Raises ProtocolError, and Undecryptable for an encrypted batch.
    """
    batch = unpack(packed)
    try:
        version, sender, packets = batch
        if version != VERSION:
            _check_not_encrypted(batch)
            raise ProtocolError(f"the version of a batch is {shown(version)}; this process speaks {VERSION}")
        for packet in packets:
            if len(packet) < LENGTH_MIN[packet[0]] or type(packet[2]) is not int:
                raise ProtocolError(f"a packet of kind {packet[0]} with {len(packet)} fields")
    except (TypeError, ValueError, KeyError, IndexError) as error:
        _check_not_encrypted(batch)
        raise ProtocolError(f"not a batch ({type(error).__name__})") from error
    if type(packets) is not list or type(sender) is not str or not is_node_name(sender):
        raise ProtocolError("not a batch: a sender is the name of a node, packets are an array")
    return sender, packets


def is_encrypted_batch(entry: Any) -> bool:
    """True if an unpacked entry has the form of encrypted batches: an array of bins."""
    return type(entry) is list and bool(entry) and all(type(element) is bytes for element in entry)


def _check_not_encrypted(entry: Any) -> None:
    if is_encrypted_batch(entry):
        raise Undecryptable("it is encrypted, and this process has no encryption key")
