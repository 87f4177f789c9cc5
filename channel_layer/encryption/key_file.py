"""A file of encryption keys, read again when it has changed, so that keys are rotated while processes run."""

from __future__ import annotations

import time
from pathlib import Path

from channel_layer.encryption.keyring import parse_key_file

#: A file that was not written to for so long is not being written.
REST_S = 1.0

#: Device, inode, size and time of the last change of a file: one that has others is read again.
Signature = tuple[int, int, int, int]


class KeyFile:
    """One file with one key per line. The files of Docker's and Kubernetes' secrets are such files."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._taken: Signature | None = None  # of the content that `read` has returned
        self._seen: Signature | None = None  # at the last check

    def read(self) -> tuple[str, ...]:
        """The keys in the file. Raises ValueError with one sentence."""
        try:
            signature = self._signature()
            keys = parse_key_file(self._path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"the encryption key file {self._path} cannot be used: {error}") from error
        self._taken = signature
        return keys

    def read_changed(self) -> tuple[str, ...] | None:
        """The keys if the file has changed, else None. Raises ValueError with one sentence.

        One that is just being written is left alone: a file is read a second after it was written, by its own time, or when two checks
        in a row have found it as it is, since that time may be another machine's.
        """
        try:
            signature = self._signature()
        except OSError as error:
            raise ValueError(f"the encryption key file {self._path} cannot be used: {error}") from error
        before, self._seen = self._seen, signature
        if signature == self._taken or not (signature == before or _is_at_rest(signature)):
            return None
        return self.read()

    def _signature(self) -> Signature:
        found = self._path.stat()
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _is_at_rest(signature: Signature) -> bool:
    age_s = time.clock_gettime(time.CLOCK_REALTIME) - signature[3] / 1e9
    return age_s >= REST_S
