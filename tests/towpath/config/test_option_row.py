"""One option: its names, and where its default is defined."""

from __future__ import annotations

from towpath.config.option_row import FOR_WORKER, ONLY_SERVE, SERVE, STATUS, Row
from worker.settings import WorkerSettings


def test_an_option_is_named_once_for_the_command_line_and_the_environment() -> None:
    row = Row("--max-worker-age/--no-max-worker-age", FOR_WORKER, "Help.")
    assert (row.name, row.env) == ("max_worker_age", "TOWPATH_MAX_WORKER_AGE")


def test_a_default_is_that_of_the_settings_unless_the_row_has_another() -> None:
    threads = WorkerSettings().threads
    assert Row("--threads", FOR_WORKER, "Help.", ("worker.threads",)).default == threads
    assert (
        Row("--threads", FOR_WORKER, "Help.", ("worker.threads",), more={"default": threads + 1}).default == threads + 1
    )
    assert Row("--reload", ONLY_SERVE, "Help.").default is None


def test_an_option_may_mean_something_else_to_commands_that_look_for_a_serve() -> None:
    row = Row("--port", ONLY_SERVE, "Port to listen on.", elsewhere="The `serve` that listens on this port.")
    assert row.option(SERVE).help == "Port to listen on."
    assert row.option(STATUS).help == "The `serve` that listens on this port."
