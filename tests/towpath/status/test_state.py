"""The state of a deployment at one moment."""

from __future__ import annotations

from towpath.status.state import Status, named_in_full

HERE = "boot-id pid:[1]"


def test_processes_have_the_names_that_serve_gave_them() -> None:
    """By pid, and on this machine alone: others have the same numbers. A lease may contain anything."""
    leases = (
        {"node": "worker.a", "machine": HERE, "pid": 7},
        {"node": "worker.b", "machine": "another", "pid": 7},
        {"node": "worker.c", "machine": HERE, "pid": 8},
        {"node": "odd.d", "machine": HERE, "pid": "7"},
        {"node": "odd.e"},
    )
    status = Status(leases, ()).of_serve({"worker": 2}, {7: "worker-0", 9: "worker-1"}, HERE)
    assert [lease.get("name") for lease in status.processes] == ["worker-0", None, None, None, None]
    assert status.wanted == {"worker": 2}
    assert status.without_lease == {"worker-1": 9}


def test_one_application_has_one_name() -> None:
    """An interface server has APP as it was typed, a worker as it was found; leases of earlier versions have a colon, or anything."""
    typed = ({"app": "shop"}, {"app": "shop:"}, {"app": "shop:app"}, {"app": "blog"}, {"app": 7}, {})
    assert [lease.get("app") for lease in named_in_full(typed)] == ["shop:app"] * 3 + ["blog", 7, None]
    assert typed[0] == {"app": "shop"}
