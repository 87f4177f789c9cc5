"""Versions of the package at one moment, in words."""

from __future__ import annotations

from typing import Any

import pytest

from towpath.overview.package_versions import package_versions

NEW, EARLIER, STRANGER = {"package_version": "0.2.0"}, {"machine": "m"}, {"role": "worker", "version": 1}


@pytest.mark.parametrize(
    ("leases", "said"),
    [
        ([], ""),
        ([NEW, NEW, STRANGER], ""),
        ([EARLIER, EARLIER], ""),
        ([NEW, EARLIER, NEW], "2 of '0.2.0', 1 of an earlier version"),
        ([NEW, {"package_version": "0.1.0"}], "1 of '0.1.0', 1 of '0.2.0'"),
        ([{"package_version": n} for n in range(5)], "1 of 0, 1 of 1, 1 of 2, others"),
    ],
)
def test_versions_are_counted_where_there_are_several(leases: list[dict[str, Any]], said: str) -> None:
    assert package_versions(leases) == said
