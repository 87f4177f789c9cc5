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
#: Names in documents that are of other projects, or examples of how to name things.
FOREIGN = frozenset(
    "LANGUAGE_CODE OTEL_TRACES_SAMPLER SECURE_PROXY_SSL_HEADER SECURE_SSL_REDIRECT "
    "frame_size_bytes_max gunicorn.conf.py idle_timeout proxy_request_buffering timeout_seconds trusted_proxies wsgi.py".split()
)
#: A name of code: CamelCase, or with an underscore. Words that a reader may take for prose are not checked.
CODE_NAME = re.compile(r"\b(?:[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]*)+|[A-Za-z0-9]+(?:_[A-Za-z0-9]+)+)\b")
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


@cache
def tracked() -> list[str]:
    """The files of the repository."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return listed.stdout.splitlines()


def spans(path: Path) -> list[str]:
    """What a document shows as code within its sentences."""
    text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    return re.findall(r"`([^`\n]+)`", text)


def is_there(name: str) -> bool:
    """True if a file or a folder of the repository has this path, or ends with it."""
    end = f"/{name.rstrip('/')}"
    return any(f"/{file}".endswith(end) or f"{end}/" in f"/{file}" for file in tracked())


@cache
def names_in_code() -> frozenset[str]:
    """Every name that stands in a file which is no document, also in lower case; but for the list of foreign ones above."""
    found: set[str] = set()
    for file in tracked():
        path = ROOT / file
        if path.suffix not in (".md", ".png") and path != Path(__file__).resolve() and path.is_file():
            found |= {path.stem, *re.findall(r"\w+", path.read_text("utf-8", errors="replace"))}
    return frozenset(found | {name.lower() for name in found})  # a member of an enum makes the name of a counter


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_each_file_and_folder_that_a_document_names_exists(path: Path) -> None:
    """`http1/head.py` names interface_server/http1/head.py; a file that is renamed is renamed in the documents."""
    named = [
        span for span in spans(path) if re.fullmatch(r"[\w.-]+(/[\w.-]+)*(\.(py|lua|md|toml|yml|yaml|conf)|/)", span)
    ]
    assert not [name for name in named if name != "./" and name not in FOREIGN and not is_there(name)]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_each_name_of_code_in_a_document_exists(path: Path) -> None:
    """Classes, functions, settings and fields: what is renamed in the code is renamed in the documents."""
    named = {name for span in spans(path) for name in CODE_NAME.findall(span)}
    assert not named - names_in_code() - FOREIGN


def test_a_name_that_does_not_exist_is_found() -> None:
    """The checks above can fail."""
    assert CODE_NAME.findall("the ChannelLayer of `group_send`, send and HTTP") == ["ChannelLayer", "group_send"]
    assert "ChannelLayer" in names_in_code() and "group_send" in names_in_code()
    assert "Redis" + "LayerOfOld" not in names_in_code()
    assert is_there("http1/head.py") and is_there("docs/protocol/") and not is_there("http1/heads.py")
    assert not FOREIGN & names_in_code(), "they are ours by now"


@pytest.mark.parametrize(
    "target", re.findall(r"`make ([\w-]+)", "".join(path.read_text("utf-8") for path in DOCUMENTS))
)
def test_each_target_of_make_that_a_document_names_exists(target: str) -> None:
    assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


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
