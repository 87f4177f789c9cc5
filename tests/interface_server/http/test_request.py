"""What the first line of a request says to the application."""

from __future__ import annotations

import pytest

from channel_layer.protocol.codec import unpack
from interface_server.http.errors import RequestError
from interface_server.http.request import line_scope


def test_a_path_is_decoded_and_also_kept_as_it_came():
    scope, piece = line_scope(b"GET", b"/%C3%A4/b%2Fc?d=%20", "1.1")
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/\xe4/b/c", b"/%C3%A4/b%2Fc", b"d=%20")
    assert unpack(piece) == scope


def test_bytes_that_are_no_text_are_replaced():
    assert line_scope(b"GET", b"/%FF", "1.1")[0]["path"] == "/\N{REPLACEMENT CHARACTER}"


def test_a_fragment_is_refused():
    """P12. RFC 9112, 3.2: it is never sent; two servers could cut the target in two ways."""
    with pytest.raises(RequestError) as refused:
        line_scope(b"GET", b"/a#b", "1.1")
    assert refused.value.status == 400
