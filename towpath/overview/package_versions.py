"""Finds out whether processes of several versions of the package run at once. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from channel_layer.process.log_values import shown

VERSIONS_MAX = 3  #: in one sentence


def package_versions(leases: Iterable[Mapping[str, Any]]) -> str:
    """How many processes are of which version, in words; empty if all are of one.

    A lease without a version is of an earlier one, or was written by another program: that names no machine, and does not count.
    """
    ours = (lease.get("package_version") for lease in leases if "package_version" in lease or lease.get("machine"))
    found = Counter("an earlier version" if version is None else shown(version) for version in ours)
    if len(found) < 2:
        return ""
    more = ["others"] if len(found) > VERSIONS_MAX else []
    return ", ".join([*(f"{count} of {version}" for version, count in sorted(found.items())[:VERSIONS_MAX]), *more])
