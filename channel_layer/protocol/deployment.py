"""Checks whether two processes belong to one deployment: both name the same application.

Only the prefix and the database keep two deployments apart: under the same ones each worker takes the connections of both. So a
lease names its application as `module:attribute`. Neither the folder nor the host counts: a reload may change the one, and a
deployment may have many of the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from channel_layer.process.log_values import shown

#: The attributes of an APP that names none: the first of these that the module has.
DEFAULT_ATTRIBUTES: Final = ("application", "app")


def same_application(one: str, other: str) -> bool:
    """True if both may mean the same application. An attribute that is not named may be any of the default ones."""
    module, _, attribute = one.partition(":")
    other_module, _, other_attribute = other.partition(":")
    unnamed = ("", *DEFAULT_ATTRIBUTES)
    either = attribute == other_attribute or (not attribute and other_attribute in unnamed)
    return module == other_module and (either or (not other_attribute and attribute in unnamed))


def spelled(app: str) -> str:
    """APP as leases have it: without the colon of an attribute that is not named."""
    return app.removesuffix(":") or app


def full_name(app: str, others: Iterable[str]) -> str:
    """`app` with its attribute, where that is not named and these others tell which one it is; else as leases have it.

    A worker names the attribute that it has found; an interface server, which loads no application, cannot know it.
    """
    full = {other for other in others if other.partition(":")[2] and same_application(app, other)}
    return full.pop() if len(full) == 1 and not app.partition(":")[2] else spelled(app)


def another_application(app: str, leases: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The first lease that names another application than `app`.

    A process that names none may serve any. A process that was allowed to mix is no obstacle for other applications: their
    processes may be started again.
    """
    for lease in leases:
        named = lease.get("app")
        if isinstance(named, str) and named and not lease.get("mixed_apps") and not same_application(app, named):
            return lease
    return None


def why_refused(lease: Mapping[str, Any], prefix: str) -> str:
    """One sentence for the operator. lease: the result of `another_application`; it may contain anything."""
    where = f"host {shown(lease.get('host'))}, pid {shown(lease.get('pid'))}"
    return (
        f"{shown(lease['app'])} is served by this Redis database under the prefix {prefix!r} already ({where}), "
        "and each would get connections of the other: give every deployment a --prefix of its own, or use --allow-mixed-apps"
    )


def fleet_of(generation: str) -> str:
    """The fleet in `<fleet>/<number>`; empty without a generation."""
    return generation.rpartition("/")[0]
