"""Every case of the corpus that cryptsetup judged: the same verdict, fields, keyslots and volume keys."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from conftest import Corpus, load_corpus

from luksafe.errors import LuksafeError, Unsupported
from luksafe.luks.compact import capture
from luksafe.luks.finding import Severity
from luksafe.luks.inspection import inspect
from luksafe.luks.unlock import unlock
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes

FOUND = load_corpus()
CASES = [c for c in FOUND.cases.values() if "cryptsetup" in c] if FOUND else []
ACCEPTED = ("valid", "recovered-on-load")
# cryptsetup stops at these only because of what else is on the device; the header itself is fine
FOREIGN_SIGNATURE = "ambiguous signature"


def header_bytes(corpus: Corpus, case: dict[str, Any]) -> bytes:
    return corpus.data(case["id"], "header" if "header" in case["files"] else "image")


def key_of(corpus: Corpus, case: dict[str, Any], entry: dict[str, Any]) -> SecretBytes:
    if "keyfile" in entry:
        data = corpus.data(case["id"], entry["keyfile"])[entry.get("keyfile_offset", 0) :]
        return SecretBytes(data[: entry.get("keyfile_size", len(data))])
    text = bytes.fromhex(entry["passphrase_hex"]) if "passphrase_hex" in entry else entry["passphrase"].encode()
    return SecretBytes(text)


@pytest.mark.parametrize("case", CASES, ids=[c["id"] for c in CASES])
def test_verdict_fields_and_keys_are_those_of_cryptsetup(corpus, case):
    data = header_bytes(corpus, case)
    reader = BytesReader(data)
    seen = inspect(reader)
    reason = str(case.get("verdict_reason"))
    if case["verdict"] in ACCEPTED or FOREIGN_SIGNATURE in reason:
        assert not seen.is_refused, [f.text for f in seen.all_findings]
    else:
        assert seen.is_refused, reason
        assert any(f.severity is Severity.ERROR for f in seen.all_findings)
    if case["verdict"] in ACCEPTED:
        check_fields(case, seen.require_header())
        check_keys(corpus, case, reader)


def check_fields(case: dict[str, Any], header: Any) -> None:
    said = case["luks"]
    ours = {
        "uuid": header.uuid,
        "label": header.label,
        "subsystem": header.subsystem,
        "seqid": header.seqid,
        "cipher": header.encryption,
        "sector_size": header.sector_size,
        "data_offset": header.data_offset,
        "key_bits": header.volume_key_size * 8,
    }
    for name, value in ours.items():
        if said.get(name) is not None:
            assert value == said[name], name
    if header.format == "luks2":
        assert sorted(header.keyslots) == sorted(int(k) for k in said["keyslots"])


def check_keys(corpus: Corpus, case: dict[str, Any], reader: BytesReader) -> None:
    seen = inspect(reader)
    compact = BytesReader(capture(reader, seen).image)
    for number, entry in enumerate(case.get("unlock", [])):
        key = key_of(corpus, case, entry)
        wanted = entry.get("volume_key_sha256") or (None if entry.get("unbound") else case.get("volume_key_sha256"))
        for source in (reader, compact) if number == 0 else (reader,):
            try:
                opened = unlock(source, inspect(source).require_header(), key, keyslot=entry.get("slot"))
            except LuksafeError as rejected:
                if entry["opens"] and isinstance(rejected, Unsupported):
                    pytest.skip(f"no library here: {rejected}")
                assert not entry["opens"], rejected
                continue
            assert entry["opens"]
            if wanted:
                assert hashlib.sha256(opened.volume_key.view).hexdigest() == wanted
            if entry.get("opened_slot") is not None:
                assert opened.keyslot == entry["opened_slot"]


@pytest.mark.parametrize("case", CASES, ids=[c["id"] for c in CASES])
def test_looking_never_raises_at_any_cut(corpus, case):
    data = header_bytes(corpus, case)
    for length in (0, 5, 6, 8, 100, 591, 592, 4095, 4096, 16384, 20479, 32768, 40000):
        inspect(BytesReader(data[:length]))
