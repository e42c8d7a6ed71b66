"""The C2SP test vectors for age, as far as pyrage can be asked: set LUKSAFE_AGE_VECTORS to their ``age/testdata``."""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path

import pytest

from luksafe.errors import LuksafeError, Unsupported
from luksafe.escrow.recipients.age import parse_identities
from luksafe.escrow.recipients.interface import scheme_of
from luksafe.escrow.recipients.passphrase import Passphrase
from luksafe.secret import SecretBytes

FOLDER = os.environ.get("LUKSAFE_AGE_VECTORS", "")
VECTORS = sorted(Path(FOLDER).iterdir()) if FOLDER else []

# rage reads these, age does not: a stanza without the short line at its end. Nothing is lost by it.
LENIENT = {"stanza_missing_body", "stanza_missing_final_line"}


def test_vectors_are_there() -> None:
    if not VECTORS:
        pytest.skip("no C2SP age vectors (set LUKSAFE_AGE_VECTORS)")
    assert len(VECTORS) > 100


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.name)
def test_vector(path: Path) -> None:
    head, _, body = path.read_bytes().partition(b"\n\n")
    fields: dict[str, list[str]] = {}
    for line in head.decode().splitlines():
        name, _, value = line.partition(": ")
        fields.setdefault(name, []).append(value)
    sealed = zlib.decompress(body) if "compressed" in fields else body
    expect = fields["expect"][0]
    try:
        if any(identity.startswith("AGE-SECRET-KEY-PQ-") for identity in fields.get("identity", [])):
            with pytest.raises(Unsupported):
                parse_identities("\n".join(fields["identity"]))
            pytest.skip("post-quantum identities are not in pyrage")
        scheme_of(sealed)
        identities = [Passphrase(SecretBytes(p.encode())) for p in fields.get("passphrase", [])]
        identities += parse_identities("\n".join(fields.get("identity", [])))
        plaintext = identities[0].unseal(sealed).plaintext.reveal()
    except LuksafeError as error:
        assert expect != "success", error
        return
    assert expect == "success" or path.name in LENIENT
    if "payload" in fields:
        assert hashlib.sha256(plaintext).hexdigest() == fields["payload"][0]
