"""The error of a move that a table of states does not have."""

from __future__ import annotations


class IllegalMove(Exception):
    """A move that the table does not have: an error in this program, whatever packet brought it to light.

    It writes no state. No base class that MALFORMED (packets.py) names: the sender of a packet is not to blame.
    """
