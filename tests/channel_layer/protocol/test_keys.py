"""Redis keys: those of two deployments never meet."""

from __future__ import annotations

import pytest

from channel_layer.errors import InvalidName
from channel_layer.protocol.keys import CHANNEL_OF_KIND, Keys, own_channel
from channel_layer.protocol.names import check_channel


def names(keys: Keys) -> list[str]:
    """One key of each kind, all about the same name."""
    of_one_name = (keys.channel, keys.channel_size, keys.inbox, keys.lease, keys.group, keys.probe)
    return [*(key("name") for key in of_one_name), keys.nodes, keys.news]


def test_all_keys_of_a_deployment_begin_with_its_prefix_and_differ() -> None:
    found = names(Keys("towpath:"))
    assert all(name.startswith("towpath:") for name in found)
    assert len(set(found)) == len(found)


def test_another_prefix_shares_no_key() -> None:
    assert not set(names(Keys("a:"))) & set(names(Keys("b:")))


def test_the_number_of_the_database_is_part_of_what_is_published_and_of_nothing_else() -> None:
    """A server's publishes reach the clients of all its databases; its keys are apart already."""
    keys, others = Keys("towpath:", 0), Keys("towpath:", 1)
    differing = {name for name in names(keys) if name not in names(others)}
    assert differing == {keys.group("name"), keys.probe("name"), keys.news}


@pytest.mark.parametrize("channel", CHANNEL_OF_KIND.values())
def test_a_workers_own_channel_cannot_be_named_by_an_application(channel: str) -> None:
    """P2. Or an application could put entries where one worker alone reads."""
    name = own_channel(channel, "worker.0123456789ab")
    assert name != own_channel(channel, "worker.ba9876543210")
    with pytest.raises(InvalidName):
        check_channel(name)
