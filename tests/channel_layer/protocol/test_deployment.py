"""Deployments: when two processes name the same application, and what an operator reads when they do not."""

from __future__ import annotations

import pytest

from channel_layer.protocol.deployment import (
    another_application,
    fleet_of,
    full_name,
    same_application,
    spelled,
    why_refused,
)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("shop:app", "shop:app", True),
        ("shop", "shop", True),
        ("shop", "shop:app", True),
        ("shop", "shop:application", True),
        ("shop", "shop:api", False),
        ("shop:app", "shop:application", False),
        ("shop:app", "blog:app", False),
        ("shop", "shop.api", False),
        ("shop:", "shop:app", True),
        ("shop:", "shop", True),
    ],
)
def test_an_attribute_that_is_not_named_may_be_any_of_the_default_ones(one: str, other: str, same: bool) -> None:
    """In either direction."""
    assert same_application(one, other) is same
    assert same_application(other, one) is same


@pytest.mark.parametrize(
    ("app", "lease"), [("shop", "shop"), ("shop:", "shop"), ("shop:app", "shop:app"), ("", ""), (":", ":")]
)
def test_a_lease_has_no_colon_without_an_attribute(app: str, lease: str) -> None:
    """However it was typed."""
    assert spelled(app) == lease


@pytest.mark.parametrize(
    ("app", "others", "full"),
    [
        ("shop", {"shop:app", "blog:app"}, "shop:app"),
        ("shop:", {"shop", "shop:", "shop:application"}, "shop:application"),
        ("shop", {"shop:app", "shop:application"}, "shop"),
        ("shop:", {"shop:api", "shop.api:app"}, "shop"),
        ("shop:api", {"shop:app"}, "shop:api"),
        ("shop", set(), "shop"),
    ],
)
def test_the_attribute_is_that_which_the_workers_have_found(app: str, others: set[str], full: str) -> None:
    """Where all of them have found the same, and one that is not named could be it."""
    assert full_name(app, others) == full


def test_the_first_lease_of_another_application_is_found() -> None:
    leases = [{"app": "shop:app"}, {"app": "blog:app", "pid": 1}, {"app": "wiki:app", "pid": 2}]
    assert another_application("shop", leases) is leases[1]
    assert another_application("shop", leases[:1]) is None


@pytest.mark.parametrize("lease", [{}, {"app": ""}, {"app": None}, {"app": 7}, {"app": "blog:app", "mixed_apps": True}])
def test_a_lease_without_an_application_or_with_leave_to_mix_is_none_of_another(lease: dict[str, object]) -> None:
    """An interface server names none; a worker that was allowed to mix was so for both sides."""
    assert another_application("shop:app", [lease]) is None


def test_the_operator_reads_which_process_it_is_and_what_helps() -> None:
    sentence = why_refused({"app": "blog:app", "host": "web-1", "pid": 42}, "towpath:")
    assert "'blog:app'" in sentence and "'web-1'" in sentence and "42" in sentence
    assert "'towpath:'" in sentence and "--prefix" in sentence and "--allow-mixed-apps" in sentence


def test_a_lease_with_odd_values_still_gives_one_line() -> None:
    """P12. Another process wrote it."""
    sentence = why_refused({"app": "a\nb", "host": {"deep": []}}, "p")
    assert "\n" not in sentence and "of type dict" in sentence and "None" in sentence


def test_a_generation_names_its_fleet_before_the_last_slash() -> None:
    assert fleet_of("4f2a/7") == "4f2a"
    assert fleet_of("a/b/7") == "a/b"
    assert fleet_of("") == ""
