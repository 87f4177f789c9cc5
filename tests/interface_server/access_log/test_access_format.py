"""Access lines by gunicorn's atoms. What they mean there: its documentation, `access_log_format`."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interface_server.access_log.access_format import ATOMS, AccessFormat
from interface_server.access_log.entry import AccessEntry

GUNICORN = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
FIELDS = [
    (b"referer", b"http://a/"),
    (b"user-agent", b'Mozilla "5.0" \\ \xc3\xa9\n'),
    (b"x-a", b"1"),
    (b"x-a", b"2"),
    (b"authorization", b"Basic YWRhOnNlY3JldA=="),
]


def entry(**changes: object) -> AccessEntry:
    values: dict[str, object] = {
        "client": ("192.0.2.7", 5060), "method": "GET", "target": b"/a/b?c=d", "version": "1.1", "fields": FIELDS, "begun_s": 1.0,
        "connection": "i.1!7", "response_fields": [(b"X-B", b"3")], "body_bytes": 5, "status": 404, "why": "why not",
        "local_time": "[30/Nov/2026:22:54:00 +0000]", "duration_s": 1.2345678,
    }  # fmt: skip
    return AccessEntry(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("form", "line"),
    [
        (
            GUNICORN,
            '192.0.2.7 - ada [30/Nov/2026:22:54:00 +0000] "GET /a/b?c=d HTTP/1.1" 404 5 "http://a/" '
            '"Mozilla \\"5.0\\" \\\\ \\xc3\\xa9\\x0a"',
        ),
        ("%(m)s|%(U)s|%(q)s|%(H)s|%(B)s|%(p)s", "GET|/a/b|c=d|HTTP/1.1|5|<7>"),
        ("%(T)s|%(M)s|%(D)s|%(L)s", "1|1234|1234567|1.234568"),
        ("%({X-A}i)s|%({x-none}i)s|%({x-b}o)s|%({NAME}e)s|%({OTHER}e)s", '1, 2|-|3|va\\"lue|-'),
        ("%(connection)s|%(reason)s|100%%", "i.1!7|why not|100%"),
    ],
)
def test_each_atom_is_what_it_is_in_gunicorn(form: str, line: str) -> None:
    """And those of our own; header fields are found whatever their case."""
    assert AccessFormat(form, {"NAME": 'va"lue'}, 7).line(entry()) == line


def test_what_is_not_there_is_a_dash() -> None:
    """A head that was refused, of an unknown client."""
    nothing = AccessEntry(client=None, method="", target=b"", status=400)
    form = " ".join(f"%({name})s" for name in ATOMS if name not in "qsBTMDL")
    assert set(AccessFormat(form).line(nothing).split(" ")) == {"-"}
    assert AccessFormat("%(u)s").line(entry(fields=[(b"authorization", b"Basic !")])) == "-"
    assert AccessFormat("%(u)s").line(entry(fields=[(b"authorization", b"Bearer YWRh")])) == "-"


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ("%(x)s", r"'%\(x\)s' is no atom that is known: h l u "),
        ("%({x}z)s", "is no atom that is known"),
        ("%h", "'%h' is no atom: they are written %(h)s".replace("(", r"\(").replace(")", r"\)")),
        ("100%", "'%' is no atom"),
        ("%(h)d", "is no atom"),
        ("%({HTTP_HOST}e)s", "is a variable of WSGI"),
        ("%({wsgi.url_scheme}e)s", "is a variable of WSGI"),
        ("a\nb", "would break the line"),
        ("", "--no-access-log"),
    ],
)
def test_what_is_unknown_is_refused_in_one_sentence(form: str, sentence: str) -> None:
    """When the process starts, and not at the first request."""
    with pytest.raises(ValueError, match=sentence):
        AccessFormat(form)


ANY_FIELDS = st.lists(st.tuples(st.sampled_from([b"referer", b"user-agent", b"x-a", b"authorization"]), st.binary()))


@given(ANY_FIELDS, st.binary(), st.text())
def test_whatever_a_client_sends_it_is_one_line_with_the_quotation_marks_of_the_format(
    fields: list[tuple[bytes, bytes]], target: bytes, address: str
) -> None:
    """P12. A parser that knows escapes finds each part where the format has it."""
    form = AccessFormat('%(h)s "%(u)s" "%(r)s" "%(f)s" "%(a)s" "%({x-a}i)s"')
    line = form.line(entry(fields=fields, target=target, client=(address, 1)))
    assert line.isascii() and line.isprintable()
    assert re.fullmatch(r'[^" ]*( "([^"\\]|\\.)*"){5}', line)
