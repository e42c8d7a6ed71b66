"""Named inputs that once ended a command, and the walls that stop whatever comes next."""

from __future__ import annotations

import json
import logging
import struct

import escrow_samples
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from generators.headers import document_of, luks2_image, with_document

from luksafe import wall
from luksafe.cli.serve import _address
from luksafe.errors import DamagedInput, LuksafeError, NotFound, UsageError
from luksafe.escrow.recipients.certificates import load_certificates, load_key_file
from luksafe.luks.compare import compare, keyslot_fingerprint
from luksafe.luks.found import examine_mark
from luksafe.luks.inspection import inspect
from luksafe.luks.search import Mark
from luksafe.reader import BytesReader
from luksafe.vault.document import decode_document, encode_document
from luksafe.view.inside.lvm_text import parse_lvm_text
from luksafe.wall import ParserStopped, walled

HUGE = "9" * 5000


def test_a_keyslot_type_of_a_lone_surrogate_is_compared():
    def change(document):
        document["keyslots"]["1"] = {
            "type": "\ud800",
            "key_size": 64,
            "area": {"type": "none", "offset": "524288", "size": "4096"},
        }

    header = inspect(BytesReader(with_document(luks2_image(), change))).require_header()
    assert compare(header, header) == []
    assert keyslot_fingerprint(header.keyslots[1])


def test_a_remnant_with_a_number_of_5000_digits_is_examined():
    document = document_of(luks2_image())
    document["config"]["json_size"] = HUGE
    text = json.dumps(document).encode()
    assert examine_mark(BytesReader(text + bytes(1 << 16)), Mark(0, "json")) is None


def test_lvm_text_with_a_number_of_5000_digits_is_damaged():
    with pytest.raises(DamagedInput):
        parse_lvm_text(f"vg {{ seqno = {HUGE} }}")


def test_a_certificate_of_version_18_is_damaged():
    certificate = escrow_samples.certificate(escrow_samples.ec_key()).public_bytes(Encoding.DER)
    at = certificate.index(b"\xa0\x03\x02\x01\x02")
    odd = certificate[: at + 4] + b"\x11" + certificate[at + 5 :]
    with pytest.raises(DamagedInput):
        load_certificates(odd)
    import base64

    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(odd) + b"-----END CERTIFICATE-----\n"
    key = escrow_samples.pem(escrow_samples.ec_key())
    assert load_key_file(key + pem, None).certificate is None


@pytest.mark.parametrize("text", ["²", "99999", "1" * 5000, "٣", "", "x"])
def test_an_address_that_is_none(text):
    with pytest.raises(UsageError):
        _address(text)


def test_a_document_of_the_vault_holds_what_utf8_cannot():
    kept = decode_document(encode_document({"type": "a\ud800\udcff"}))
    assert kept == {"type": "a\\ud800\\udcff"}


FAULTS = [
    ValueError("x"),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"),
    KeyError("x"),
    RecursionError("x"),
    OverflowError("x"),
    struct.error("x"),
    MemoryError(),
    AttributeError("x"),
    type("PanicException", (BaseException,), {})("x"),
]


@pytest.mark.stops
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_whatever_a_parser_raises_is_an_error_of_ours_that_names_it(fault, monkeypatch):
    seen = []
    handler = logging.Handler()
    handler.emit = seen.append
    wall.log.addHandler(handler)

    @walled("a planted thing")
    def parse():
        raise fault

    try:
        with pytest.raises(ParserStopped, match="a planted thing") as stopped:
            parse()
    finally:
        wall.log.removeHandler(handler)
        wall.WALLS.pop("a planted thing")
    assert stopped.value.exit_status == 12
    assert stopped.value.__cause__ is fault
    assert seen[0].exc_info, "the fault is not to be hidden"


@pytest.mark.parametrize(
    "passing", [KeyboardInterrupt(), SystemExit(3), GeneratorExit(), NotFound("x"), OSError(5, "x")]
)
def test_an_interrupt_and_our_own_errors_pass(passing):
    @walled("a planted thing")
    def parse():
        raise passing

    with pytest.raises(type(passing)):
        parse()
    wall.WALLS.pop("a planted thing")


@pytest.mark.stops
def test_a_header_that_stops_the_parser_is_a_finding(monkeypatch):
    monkeypatch.setattr("luksafe.luks.inspection._inspect_luks2", lambda *_: {}["x"])
    seen = inspect(BytesReader(luks2_image()))
    assert seen.header is None
    assert [f.code for f in seen.all_findings] == ["parser-stopped"]
    with pytest.raises(LuksafeError, match="KeyError"):
        seen.require_header()
