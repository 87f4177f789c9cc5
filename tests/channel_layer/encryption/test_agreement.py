"""Whether two processes can decrypt each other, by the key ids in their leases."""

from __future__ import annotations

from typing import Any

import pytest

from channel_layer.encryption.agreement import KEY_IDS, disagreement


def lease(*ids: str) -> dict[str, Any]:
    return {KEY_IDS: list(ids)} if ids else {}


@pytest.mark.parametrize(
    ("own", "its"), [([], []), (["a"], ["a"]), (["a"], ["a", "b"]), (["a", "b"], ["b", "a"]), (["b", "a"], ["b"])]
)
def test_processes_of_one_step_and_of_steps_that_follow_each_other_agree(own: list[str], its: list[str]) -> None:
    """Each has the key that the other encrypts with."""
    assert disagreement(own, {"worker.1": lease(*its)}, "p:") == ""


@pytest.mark.parametrize(
    ("own", "its", "why"),
    [
        ([], ["a"], "worker.1' encrypts what crosses Redis, and this process has no encryption key"),
        (["a"], [], "worker.1' encrypts nothing, and this process has encryption keys"),
        (["a"], ["b"], "worker.1' encrypts with the key 'b', which this process does not have"),
        (["a"], ["b", "a"], "worker.1' encrypts with the key 'b', which this process does not have"),
        (["a", "b"], ["b"], "this process encrypts with the key a, which 'worker.1' does not have"),
    ],
)
def test_the_sentence_names_the_process_the_key_and_the_prefix(own: list[str], its: list[str], why: str) -> None:
    """And what to do about it."""
    found = disagreement(own, {"worker.0": lease(*own), "worker.1": lease(*its)}, "p:")
    assert why in found
    assert (
        "(under the prefix 'p:'): give all processes of a deployment the same keys, by --encryption-key-file" in found
    )


@pytest.mark.parametrize("nonsense", [7, "a", {"a": 1}, [], [[]], None, [7]])
def test_a_lease_may_contain_anything(nonsense: object) -> None:
    """Another program may have written it."""
    assert disagreement(["a"], {"worker.1": {KEY_IDS: nonsense}}, "p:")
    disagreement([], {"worker.1": {KEY_IDS: nonsense}}, "p:")
