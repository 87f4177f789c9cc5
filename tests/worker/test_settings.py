"""What a worker's settings mean for others."""

from __future__ import annotations

from worker.settings import WorkerSettings


def test_the_layer_of_the_application_has_the_capacity_and_the_expiry_of_the_worker() -> None:
    layer = WorkerSettings(channel_capacity=7, channel_expiry_s=9.0).layer
    assert (layer.capacity, layer.expiry_s) == (7, 9.0)
