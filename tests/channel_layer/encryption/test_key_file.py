"""A file of keys, read again when it has changed, and not while it is being written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from channel_layer.encryption.key_file import KeyFile

ONE = "one: K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72"
TWO = "two: 9f86d081884c7d659a2feaa0c55ad0159"


def test_a_file_that_stays_is_read_once(tmp_path: Path) -> None:
    """Its content is not looked at again."""
    (path := tmp_path / "keys").write_text(ONE)
    file = KeyFile(str(path))
    assert file.read() == (ONE,)
    assert [file.read_changed() for _ in range(3)] == [None, None, None]


def test_a_changed_file_is_read_when_it_has_come_to_rest(tmp_path: Path) -> None:
    """Two checks in a row must find it alike: what is half written would be half of a key."""
    (path := tmp_path / "keys").write_text(ONE)
    file = KeyFile(str(path))
    file.read()
    path.write_text(TWO[:34])
    assert file.read_changed() is None
    path.write_text(f"{TWO}\n{ONE}\n")
    assert file.read_changed() is None
    assert file.read_changed() == (TWO, ONE)
    assert file.read_changed() is None


def test_a_file_that_was_written_a_second_ago_is_read_at_the_first_look(tmp_path: Path) -> None:
    """A process that looks once an hour must not use the old key once more. A time to come is that of another clock, and proves nothing."""
    (path := tmp_path / "keys").write_text(ONE)
    file = KeyFile(str(path))
    file.read()
    path.write_text(f"{TWO}\n{ONE}\n")
    now = path.stat().st_mtime
    os.utime(path, (now, now + 3600))
    assert file.read_changed() is None
    os.utime(path, (now, now - 1.5))
    assert file.read_changed() == (TWO, ONE)


def test_a_link_to_another_file_is_followed(tmp_path: Path) -> None:
    """Kubernetes replaces a secret so: the name stays, and leads to another folder."""
    for name, key in (("first", ONE), ("second", TWO)):
        (tmp_path / name).write_text(key)
    (link := tmp_path / "keys").symlink_to("first")
    file = KeyFile(str(link))
    file.read()
    (new := tmp_path / "new").symlink_to("second")
    os.replace(new, link)
    assert [file.read_changed(), file.read_changed()] == [None, (TWO,)]


def test_a_bad_or_missing_file_is_one_sentence_with_its_path(tmp_path: Path) -> None:
    """And the next good one is taken."""
    (path := tmp_path / "keys").write_text(ONE)
    file = KeyFile(str(path))
    file.read()
    path.write_text("short")
    assert file.read_changed() is None
    for _ in range(2):
        with pytest.raises(
            ValueError, match=r"key file .*/keys cannot be used: encryption key 1 of 1 has 5 characters"
        ):
            file.read_changed()
    path.unlink()
    with pytest.raises(ValueError, match=r"cannot be used: .*No such file"):
        file.read_changed()
    path.write_text(TWO)
    assert [file.read_changed(), file.read_changed()] == [None, (TWO,)]


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Not with a traceback."""
    (path := tmp_path / "keys").write_bytes(b"\xff\xfe" * 40)
    with pytest.raises(ValueError, match="cannot be used"):
        KeyFile(str(path)).read()
