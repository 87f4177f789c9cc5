"""Checks whether the processes under one prefix can decrypt each other: each lease names the ids of its process' keys.

A process encrypts with its first key, so each other process must have that key. The ids are not authenticated: they keep a process
from starting in vain, and protect nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from channel_layer.process.log_values import shown

#: The field of a lease with the ids of the keys, the one that encrypts first. Missing where nothing is encrypted.
KEY_IDS = "encryption"


def disagreement(own_ids: Sequence[str], leases: Mapping[str, Mapping[str, Any]], prefix: str) -> str:
    """One sentence about the first process that this one cannot decrypt, or that cannot decrypt it; empty if there is none.

    leases: of the other processes, by their names; they may contain anything.
    """
    for node, lease in leases.items():
        why = _why(list(own_ids), lease.get(KEY_IDS), shown(node))
        if why:
            return (
                f"{why} (under the prefix {prefix!r}): give all processes of a deployment the same keys, by "
                "--encryption-key-file, TOWPATH_ENCRYPTION_KEYS or `encryption_keys`"
            )
    return ""


def _why(own_ids: list[str], its_ids: Any, node: str) -> str:
    if not isinstance(its_ids, list) or not its_ids:
        return f"{node} encrypts nothing, and this process has encryption keys" if own_ids else ""
    if not own_ids:
        return f"{node} encrypts what crosses Redis, and this process has no encryption key"
    if its_ids[0] not in own_ids:
        return f"{node} encrypts with the key {shown(its_ids[0])}, which this process does not have"
    if own_ids[0] not in its_ids:
        return f"this process encrypts with the key {own_ids[0]}, which {node} does not have"
    return ""
