"""The JSON area: what a reader takes, what it refuses, and that nothing is lost on the way back."""

from __future__ import annotations

import pytest

from luksafe.luks.luks2.json_area import decode, encode


@pytest.mark.parametrize(
    ("area", "code"),
    [
        (b"", "json-no-object"),
        (b" {}\0", "json-no-object"),
        (b"[]\0", "json-no-object"),
        (b"{\0", "json-syntax"),
        (b'{"a":NaN}\0', "json-syntax"),
        (b"{}", "json-no-terminator"),
        (b"{}\0\0X\0", "json-trailing-bytes"),
        (b"{}\n\0", "json-trailing-bytes"),
        (b'{"a":' + b"[" * 40 + b"]" * 40 + b"}\0", "json-too-deep"),
        (b'{"a":' + b"[" * 200_000 + b"\0", "json-too-deep"),
    ],
)
def test_faults(area, code):
    document, findings = decode(area)
    assert document is None
    assert [f.code for f in findings] == [code]


def test_the_place_of_a_fault_is_counted_in_bytes():
    _, findings = decode('{"ä":1}'.encode() + b"\0\0Z")
    assert findings[0].offset == len('{"ä":1}'.encode()) + 2


def test_foreign_bytes_in_strings_survive():
    area = b'{"note":"\xff\xfe"}'.ljust(64, b"\0")
    document, findings = decode(area)
    assert findings == []
    assert encode(document, 64) == area


def test_lone_surrogates_survive_as_escapes():
    document, _ = decode(b'{"a":"\\ud800"}\0')
    again, _ = decode(encode(document, 64))
    assert again == document


def test_a_document_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="takes 18 bytes"):
        encode({"a": "0123456789"[:9] + "x"}, 17)
