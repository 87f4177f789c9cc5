"""The documents hold together: links lead to sections that exist, and code cites sections that exist."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("", "docs", "docs/protocol", "decisions")
DOCUMENTS = [path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.md"))]
PRONOUNS = re.compile(r"\b(who|whom|whoever|whose|nobody|somebody|anybody|everybody)\b", re.IGNORECASE)
PRONOUNS_MAX = 1.0  #: of a thousand words
#: Words of a private language that this project once had; names in code spans are the code's affair.
RETIRED = re.compile(
    r"\b(pumps?|kept threads?|the wire|strays?|heard out|steadfast|laden|mourn\w*|buried|the door|walls?(?!-clock)|fellows)\b",
    re.IGNORECASE,
)
PACKAGES = ("channel_layer", "interface_server", "worker", "towpath")


@cache
def titles(path: Path) -> list[str]:
    """The headings of a document, outside of its examples."""
    text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    return re.findall(r"^#+ (.+)$", text, re.MULTILINE)


def anchor(title: str) -> str:
    """As GitHub makes it: lower case, no punctuation, dashes for spaces."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_each_link_leads_to_a_file_and_a_section(path: Path) -> None:
    """A heading that is renamed takes its links along."""
    lost = []
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", path.read_text("utf-8")):
        name, _, section = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists() or (section and section not in map(anchor, titles(file))):
            lost.append(target)
    assert not lost


def cited() -> list[tuple[str, str]]:
    """File and title of each citation `PROTOCOL.md, "Title"` in the four packages."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.*")):
            if path.suffix in (".py", ".lua"):
                text = re.sub(r"\s*\n\s*(#|--)?:?\s*", " ", path.read_text("utf-8"))
                for sentence in re.findall(r"PROTOCOL\.md((?:[^.\"]|\"[^\"]+\")*)", text):
                    found += [
                        (path.relative_to(ROOT).as_posix(), title) for title in re.findall(r'"([A-Z][^"]+)"', sentence)
                    ]
    return found


def test_each_section_of_the_protocol_that_code_cites_exists() -> None:
    """A reader of the code finds the section by its title, in PROTOCOL.md or in one of its parts."""
    parts = [ROOT / "PROTOCOL.md", *sorted((ROOT / "docs" / "protocol").glob("*.md"))]
    known = {title for part in parts for title in titles(part)}
    assert len(cited()) > 25
    assert not [where for where in cited() if where[1] not in known]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_subject_of_a_sentence_is_a_thing_with_a_name(path: Path) -> None:
    """Client, connection, worker, operator: not "who". One of a thousand words at most."""
    words = path.read_text("utf-8").split()
    assert len(PRONOUNS.findall(" ".join(words))) <= max(1.0, PRONOUNS_MAX * len(words) / 1000)


def test_each_file_that_a_document_names_exists() -> None:
    """`http1/head.py` names interface_server/http1/head.py; a file that is renamed is renamed in the documents."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = [f"/{name}" for name in listed.stdout.splitlines()]
    missing = [
        f"{path.name}: {file}"
        for path in DOCUMENTS
        for file in re.findall(r"`([\w/.]+/[\w.]+\.(?:py|lua|md))`", path.read_text("utf-8"))
        if not any(name.endswith(f"/{file}") for name in names)
    ]
    assert not missing


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_document_uses_a_retired_word(path: Path) -> None:
    """Dispatcher, sync threads, stale packet, interface server: the words that the field uses."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text("utf-8"), flags=re.DOTALL)
    assert not RETIRED.findall(text)


def test_architecture_names_every_sub_package() -> None:
    """One column for each package; the order within it is for tests/test_architecture.py to keep."""
    rows = re.findall(
        r"^\|(.+)\|$", (ROOT / "ARCHITECTURE.md").read_text("utf-8").partition("## Packages")[2], re.MULTILINE
    )
    table = [row.split("|") for row in rows]
    packages = [re.findall(r"`(\w+)/`", cell)[0] for cell in table[0]]
    assert sorted(packages) == sorted(PACKAGES)
    for column, package in enumerate(packages):
        named = set()
        for row in table[2:]:
            if len(row) != len(packages):
                break
            named.update(re.findall(r"`(\w+)`", row[column].partition(":")[0]))
        folders = {init.parent.name for init in (ROOT / package).glob("*/__init__.py")}
        modules = {module.stem for module in (ROOT / package).glob("*.py")}
        assert folders <= named <= folders | modules, package
