"""What the take script is to do with entries that were read: adopt each in time, or refuse it.

PROTOCOL.md, "Adoption".
"""

from __future__ import annotations

from channel_layer.messaging.channel_reader import Entry
from channel_layer.messaging.shared_channels import Offer
from channel_layer.protocol import packets
from channel_layer.protocol.codec import pack
from channel_layer.protocol.packets import OPEN_ERA, OPEN_EXPECTS, Refusal
from worker.connections.adoption import Key

ADOPTED = 1  #: what the script answers for one that was
_LATE, _ERA = int(Refusal.LATE), int(Refusal.ERA)


def offers(taking: list[tuple[Entry, Key]], era: str, window: int) -> list[Offer]:
    """Adopt each if its wait is not over, but for entries of another era, which may have been taken there."""
    found = []
    for entry, (_, number, epoch) in taking:
        ours = entry.packet[OPEN_ERA] == era
        adopted = packets.adopted(number, epoch, 0 if entry.packet[OPEN_EXPECTS] else window)
        refused = packets.refused(number, epoch, _LATE if ours else _ERA)
        found.append((entry, entry.deadline_ms if ours else 0, pack(adopted), pack(refused)))
    return found


def refusals(entries: list[Entry], era: str, reason: Refusal) -> list[Offer]:
    """Refuse each."""
    found: list[Offer] = []
    for entry in entries:
        why = int(reason) if entry.packet[OPEN_ERA] == era else _ERA
        found.append((entry, 0, b"", pack(packets.refused(entry.packet[1], entry.packet[2], why))))
    return found
