"""Which requests the status page answers, and what its browser may do."""

from __future__ import annotations

import base64
import hashlib

import pytest

from towpath.overview.page_access import PageAddress, security_fields


@pytest.mark.parametrize(
    ("text", "host", "port", "url", "loopback"),
    [
        ("127.0.0.1:8808", "127.0.0.1", 8808, "http://127.0.0.1:8808/", True),
        ("9000", "127.0.0.1", 9000, "http://127.0.0.1:9000/", True),
        ("0.0.0.0", "0.0.0.0", 8808, "http://0.0.0.0:8808/", False),
        ("localhost:0", "localhost", 0, "http://localhost:0/", True),
        ("status.example:80", "status.example", 80, "http://status.example:80/", False),
        ("[::1]:8808", "::1", 8808, "http://[::1]:8808/", True),
        ("::", "::", 8808, "http://[::]:8808/", False),
    ],
)
def test_an_address_may_be_given_in_part(text: str, host: str, port: int, url: str, loopback: bool) -> None:
    """What is missing is the default."""
    address = PageAddress.parse(text)
    assert (address.host, address.port, address.url, address.is_loopback) == (host, port, url, loopback)


@pytest.mark.parametrize("text", ["", ":80", "host:", "host:65536", "host:http", "a b:80", "http://host:80", "[::1:80"])
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not HOST:PORT; 127\.0\.0\.1:8808 would be right"):
        PageAddress.parse(text)


@pytest.mark.parametrize(
    ("host_field", "answered"),
    [
        ("127.0.0.1:8808", True),
        ("localhost:8808", True),
        ("LOCALHOST", True),
        ("[::1]:8808", True),
        ("192.0.2.7:1", True),
        ("status.example", True),
        ("Status.Example:80", True),
        ("evil.example", False),
        ("evil.example:8808", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("status.example@evil.example", False),
        ("", False),
        (None, False),
    ],
)
def test_a_foreign_name_is_refused(host_field: str | None, answered: bool) -> None:
    """The page of another site may have made its name lead here (DNS rebinding); no site has an address as its name."""
    assert PageAddress("status.example", 8808).may_ask(host_field) is answered


def test_only_the_script_of_the_page_itself_runs() -> None:
    """By its digest: what a name in the state might bring in does not have it."""
    fields = security_fields("<style>p { }</style><script>go()\n</script>")
    digest = base64.b64encode(hashlib.sha256(b"go()\n").digest()).decode()
    policy = fields["Content-Security-Policy"].split("; ")
    assert policy[0] == "default-src 'none'" and f"script-src 'sha256-{digest}'" in policy
    assert "unsafe" not in fields["Content-Security-Policy"]
    assert fields["X-Content-Type-Options"] == "nosniff" and fields["Cache-Control"] == "no-store"
