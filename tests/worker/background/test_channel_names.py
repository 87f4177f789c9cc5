"""Names and patterns of the channels that a worker receives from."""

from __future__ import annotations

import pytest

from worker.background.channel_names import ChannelNames, is_pattern


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("email.*", ("email.", "email.send", "email.a.b"), ("email", "emails.a", "xemail.a")),
        ("job-?", ("job-1", "job-x"), ("job-", "job-12")),
        ("job-[ab]", ("job-a",), ("job-c", "job-[ab]")),
        ("*", ("a", "z.1"), ()),
    ],
)
def test_a_pattern_matches_whole_names(pattern: str, matching: tuple[str, ...], others: tuple[str, ...]) -> None:
    """As a shell's do."""
    names = ChannelNames([pattern], "")
    assert is_pattern(pattern) and names.has_patterns and not names.fixed
    assert all(map(names.matches, matching)) and not any(map(names.matches, others))


def test_a_name_of_its_own_and_the_dead_letter_channel_match_no_pattern() -> None:
    """P12. The one is received already, the other would go round for ever."""
    names = ChannelNames(["*", "thumbnails"], "dead")
    assert names.fixed == ("thumbnails",)
    assert not names.matches("thumbnails") and not names.matches("dead") and names.matches("other")
    assert not ChannelNames(["thumbnails"], "").has_patterns
