"""Which exchanges wait too long for more of a request's body."""

from __future__ import annotations

from interface_server.http.upload_timeouts import UploadTimeouts


class Upload:
    """Remembers when it was late."""

    def __init__(self) -> None:
        self.late_at: list[float] = []

    def body_late(self, now: float) -> None:
        self.late_at.append(now)


def test_an_upload_is_late_when_nothing_has_come_for_the_whole_timeout():
    """P12."""
    timeouts, upload = UploadTimeouts(10.0), Upload()
    timeouts.restart(upload, 0.0)
    timeouts.check(10.0)
    assert not upload.late_at
    timeouts.check(10.1)
    assert upload.late_at == [10.1]


def test_each_part_begins_the_time_anew():
    timeouts, upload = UploadTimeouts(10.0), Upload()
    timeouts.restart(upload, 0.0)
    timeouts.restart(upload, 5.0)
    timeouts.check(12.0)
    assert not upload.late_at and upload in timeouts


def test_a_forgotten_upload_is_never_late():
    timeouts, upload = UploadTimeouts(10.0), Upload()
    timeouts.restart(upload, 0.0)
    timeouts.forget(upload)
    timeouts.forget(upload)
    timeouts.check(100.0)
    assert not upload.late_at and len(timeouts) == 0


def test_with_no_timeout_no_upload_is_late():
    timeouts, upload = UploadTimeouts(0.0), Upload()
    timeouts.restart(upload, 0.0)
    timeouts.check(100.0)
    assert not upload.late_at
