"""The options for channels of applications: what a worker's application sends, and background work."""

from __future__ import annotations

import click

from towpath.config.option_row import COUNT, FOR_WORKER, MANY, ONLY_WORKER, Row
from towpath.config.option_types import Seconds, SharedChannel, Whole

CHANNEL_ROWS: tuple[Row, ...] = (
    Row(
        "--channel-capacity", FOR_WORKER, "Messages that a channel holds for get_channel_layer() of this worker: then ChannelFull.",
        ("worker.channel_capacity",), COUNT,
    ),
    Row(
        "--channel-expiry", FOR_WORKER, "Seconds that a message of get_channel_layer() waits for its receiver: then it is dropped.",
        ("worker.channel_expiry_s",), Seconds(0.001),
    ),
    Row(
        "--channel", ONLY_WORKER,
        "Receive messages of this shared channel, or of all that match ('email.*'); take no connections (may be repeated).",
        ("worker.channels",), SharedChannel(or_pattern=True), more=MANY,
    ),
    Row(
        "--channel-concurrency", ONLY_WORKER, "Messages of each --channel that are processed at once; 1: in order.",
        ("worker.channel_concurrency",), Whole(1, 10_000),
    ),
    Row(
        "--channel-delivery", ONLY_WORKER, "at-least-once: a message is repeated if its worker dies before it is finished.",
        ("worker.channel_delivery",), click.Choice(("at-most-once", "at-least-once")),
    ),
    Row(
        "--channel-visibility-timeout", ONLY_WORKER,
        "Seconds after the last sign of a worker in which its messages are left to it (at-least-once).",
        ("worker.channel_visibility_timeout_s",), Seconds(1),
    ),
    Row(
        "--channel-retries", ONLY_WORKER, "How often a message is received again at which the application has raised.",
        ("worker.channel_retries",), Whole(0, 1_000),
    ),
    Row(
        "--channel-dead-letter", ONLY_WORKER, "The shared channel for messages that failed for the last time; without it they are dropped.",
        ("worker.channel_dead_letter",), SharedChannel(),
    ),
)  # fmt: skip  # one option, one or three lines: a table that can be read down
