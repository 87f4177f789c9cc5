"""docs/channel-layer.md lists the calls, messages and errors of the channel layer as they are in the code."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import channel_layer
from channel_layer.blocking.blocking_layer import BlockingChannelLayer
from channel_layer.errors import ChannelLayerError
from channel_layer.layer import ChannelLayer
from channel_layer.protocol.socket_messages import CHECKS

TEXT = (Path(__file__).resolve().parent.parent / "docs" / "channel-layer.md").read_text("utf-8")
CALLS = (
    "start",
    "send",
    "receive",
    "new_channel",
    "group_add",
    "group_discard",
    "group_send",
    "flush",
    "statistics",
    "close",
)


def test_every_call_is_described_and_no_other() -> None:
    """A public method that appears in the code appears here."""
    public = {name for name, _ in inspect.getmembers(ChannelLayer, inspect.isfunction) if not name.startswith("_")}
    assert public == set(CALLS)
    assert set(re.findall(r"^`await layer\.(\w+)\(", TEXT, re.MULTILINE)) == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_each_call_is_shown_with_its_arguments(name: str) -> None:
    """Names, order and defaults; a channel and a group are texts, a message is a dictionary."""
    shown = re.search(rf"^`await layer\.{name}\((.*)\) -> \w+`$", TEXT, re.MULTILINE)
    assert shown is not None
    arguments = [argument for argument in shown[1].split(", ") if argument]
    parameters = list(inspect.signature(getattr(ChannelLayer, name)).parameters.values())[1:]
    assert [argument.partition(":")[0] for argument in arguments] == [parameter.name for parameter in parameters]
    defaults = [str(p.default).lower() for p in parameters if p.default is not inspect.Parameter.empty]
    assert [argument.partition(" = ")[2].strip('"').lower() for argument in arguments if " = " in argument] == defaults


def test_every_call_of_the_blocking_layer_is_listed_with_its_arguments() -> None:
    """And so are the options with which it is made."""
    public = inspect.getmembers(BlockingChannelLayer, inspect.isfunction)
    calls = {name: list(inspect.signature(call).parameters)[1:] for name, call in public if not name.startswith("_")}
    rows = "\n".join(re.findall(r"^\| (`layer\..*?) \|", TEXT, re.MULTILINE))
    assert {
        name: arguments.split(", ") if arguments else []
        for name, arguments in re.findall(r"`layer\.(\w+)\((.*?)\)`", rows)
    } == calls
    shown = re.search(r"^`connect_blocking\((.*)\) -> BlockingChannelLayer`$", TEXT, re.MULTILINE)
    assert shown is not None
    options = [option.partition("=")[0] for option in shown[1].split(", ") if option != "*"]
    assert options == list(inspect.signature(channel_layer.connect_blocking).parameters)


def test_every_error_is_listed_with_what_a_caller_can_do() -> None:
    """`retry` and `known` are what the classes say."""
    rows = dict(re.findall(r"^\| `(\w+)`[^|]* \| [^|]+ \| (.*) \|$", TEXT, re.MULTILINE))
    errors = {name for name in channel_layer.__all__ if isinstance(getattr(channel_layer, name), type)}
    assert set(rows) == errors
    for name in errors - {"ChannelLayerError"}:
        error: type[ChannelLayerError] = getattr(channel_layer, name)
        retry, known = (cell.strip().partition(":")[0] for cell in rows[name].split("|"))
        assert (retry, known) == tuple("yes" if flag else "no" for flag in (error.retry, error.known)), name


def test_every_message_that_a_socket_takes_is_listed() -> None:
    """The types that pass the check of the sender."""
    assert re.findall(r"^\| `\{\"type\": \"([\w.]+)\", …\}`", TEXT, re.MULTILINE) == list(CHECKS)
