"""The answers of the two health paths."""

from __future__ import annotations

from interface_server.http.health import Health


def test_health_answers_its_two_paths_alone():
    health = Health("/-/health/")
    assert health.paths == {"/-/health/live", "/-/health/ready"}
    assert health.answer("/-/health/live", "GET", ready=False).status == 200
    assert health.answer("/-/health/ready", "GET", ready=False).status == 503
    assert health.answer("/-/health/ready", "HEAD", ready=True).status == 200
    assert [health.answer("/-/health/ready", "OPTIONS", ready=ready).status for ready in (True, False)] == [200, 503]
    assert health.answer("/-/health/ready", "DELETE", ready=True).status == 405
    assert not Health("").paths
