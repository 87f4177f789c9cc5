"""Words: identifiers avoid those that have been retired, and prose names its subjects."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from tests.support.sources import PACKAGES, ROOT, files, modules, name_of, names_and_comments_of, prose_of

#: Parts of identifiers that had a meaning in this project alone. What each is called now is in ARCHITECTURE.md or in the code beside it.
RETIRED = frozenset(
    "acquaint applicant borrow breathe breathing broom burial bury comeback composer courtesy declines departure departures door doors "
    "doubt evict evictable evicted eviction farewell fellow fellows gap halted happen happening heeded hole intake laden levelling "
    "lifetime mourn newcomer obey obeys opener openers pace patience pinged poke pump pumps rack refusals reopener retire room rooms "
    "said say says screen seek spoilt spoken spurned stall steadfast stood stray strays stroke succession swallow sweep sweeper sweeps "
    "tell tells told torn unheard vanished wall walls whoever willing wish word words".split()
)
#: The same for several parts in a row.
RETIRED_TOGETHER = (
    "at_fault",
    "bid_farewell",
    "break_off",
    "broken_off",
    "continue_owed",
    "dealt_with",
    "given_up",
    "gives_way",
    "head_begun",
    "heard_out",
    "kept_threads",
    "leave_names",
    "leaves_s",
    "let_go",
    "own_connection",
    "pack_apart",
    "rest_ttl",
    "started_in",
)
#: Names that are not ours to choose.
GIVEN_NAMES = frozenset(("worker/wsgi/input.py: seek", "worker/wsgi/input.py: tell"))  # every file object has them
#: Words that tests may use: they tell a story, have chat rooms, clients that vanish, and a lease with the field `gives_way`.
WORDS_OF_TESTS = frozenset(
    "given_up gives_way patience pinged room rooms said say says spoken tell tells told vanished whoever word words".split()
)
PRONOUN = re.compile(r"\b(who|whom|whoever|whose|nobody|somebody|anybody|everybody)\b", re.IGNORECASE)
PRONOUNS_PER_1000_MAX = 1.0


@cache
def retired_parts(identifier: str) -> set[str]:
    """The retired words of which an identifier is made."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", identifier).lower().strip("_").split("_")
    inside = "_" + "_".join(parts) + "_"
    return RETIRED.intersection(parts) | {words for words in RETIRED_TOGETHER if f"_{words}_" in inside}


def retired_words(paths: Iterable[Path] | None = None) -> set[str]:
    """A line for each file and retired word in its name or in an identifier of it."""
    found = set()
    for path in modules() if paths is None else paths:
        names, _ = names_and_comments_of(path)
        found |= {f"{name_of(path)}: {word}" for name in (path.stem, *names) for word in retired_parts(name)}
    return found - GIVEN_NAMES


def pronouns_per_1000(texts: Iterable[str]) -> float:
    """How often prose has a pronoun where a thing with a name could stand."""
    words = pronouns = 0
    for text in texts:
        words += len(re.findall(r"[A-Za-z']+", text))
        pronouns += len(PRONOUN.findall(text))
    return 1000 * pronouns / words


def test_no_identifier_has_a_retired_word() -> None:
    """A word of the field finds its reader without a glossary."""
    assert not retired_words(), "use the standard word for it (RETIRED in this test)"


def test_no_test_names_a_part_of_the_system_by_a_retired_word() -> None:
    """Tests may use words of every day (WORDS_OF_TESTS); but the parts of the system have one name each."""
    tests = [path for path in files() if path.suffix == ".py" and name_of(path).startswith("tests/")]
    words = {line.rpartition(": ")[2] for line in retired_words(tests)}
    assert not words - WORDS_OF_TESTS, "use the word that the code has for it"
    assert words == WORDS_OF_TESTS, "a word that no test uses any more need not be allowed"


def test_a_retired_word_is_found_wherever_it_stands_in_a_name() -> None:
    """The check above can fail."""
    assert retired_parts("_await_room") == retired_parts("RoomAgain") == retired_parts("ROOM") == {"room"}
    assert retired_parts("_heard_out_by") == {"heard_out"}
    assert not retired_parts("mushroom_doorway")


@pytest.mark.parametrize("package", PACKAGES)
def test_prose_names_its_subjects(package: str) -> None:
    """Clients, workers and operators do things; "whoever" and "nobody" leave a reader to guess which."""
    rate = pronouns_per_1000(prose_of(path) for path in modules() if (ROOT / package) in path.parents)
    assert rate <= PRONOUNS_PER_1000_MAX, f"{rate:.1f} per 1000 words of docstrings and comments"


def test_pronouns_are_counted() -> None:
    """The check above can fail."""
    assert pronouns_per_1000(["Whoever asks", "is answered"]) == 250
