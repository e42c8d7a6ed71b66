"""A packet of a fast machine opens on a slow one: what pyrage refuses for the time it takes is opened all the same."""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path

import pyrage
import pytest

from luksafe.errors import DamagedInput, KeyRejected, LuksafeError, Unsupported
from luksafe.escrow.recipients import passphrase as module
from luksafe.escrow.recipients.age_scrypt import unseal_scrypt
from luksafe.escrow.recipients.passphrase import Passphrase
from luksafe.secret import SecretBytes

WORDS = SecretBytes(b"words of the packet")
SIZES = [(0, False), (2000, True), (65536, False), (65537, False)]


@pytest.fixture(scope="module")
def sealed() -> bytes:
    return bytes(pyrage.passphrase.encrypt(b"secret" * 300, "words of the packet"))


@pytest.mark.parametrize(("size", "armored"), SIZES)
def test_what_age_sealed(size: int, armored: bool) -> None:
    plaintext = os.urandom(size)
    data = bytes(pyrage.passphrase.encrypt(plaintext, "words of the packet", armored=armored))
    assert unseal_scrypt(data, WORDS) == plaintext


def test_another_passphrase(sealed: bytes) -> None:
    with pytest.raises(KeyRejected):
        unseal_scrypt(sealed, SecretBytes(b"other words"))


def test_every_part_is_authenticated(sealed: bytes) -> None:
    start = sealed.index(b"--- ") + 4
    for place in (start, start + 42, start + 44, start + 60, len(sealed) - 1):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(LuksafeError):
            unseal_scrypt(bytes(changed), WORDS)
    for size in (0, 20, start, start + 44, start + 60, len(sealed) - 1):
        with pytest.raises(DamagedInput):
            unseal_scrypt(sealed[:size], WORDS)
    with pytest.raises(DamagedInput):
        unseal_scrypt(sealed + b"x", WORDS)


def test_a_cost_beyond_any_machine_is_refused(sealed: bytes) -> None:
    head, salt, rest = sealed.split(b" ", 3)[1:3], sealed.split(b" ")[2], sealed.split(b"\n", 2)[2]
    assert head[0] == b"scrypt"
    costly = b"age-encryption.org/v1\n-> scrypt " + salt + b" 30\n" + rest
    with pytest.raises(Unsupported):
        unseal_scrypt(costly, WORDS)


def test_it_opens_where_pyrage_refuses(sealed: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        @staticmethod
        def decrypt(*_: object) -> bytes:
            raise pyrage.DecryptError(f"{module.TOO_MUCH_WORK} for passphrase.")

    monkeypatch.setattr(module.pyrage, "passphrase", Slow)
    assert Passphrase(WORDS).unseal(sealed).plaintext.reveal() == b"secret" * 300


VECTORS = os.environ.get("LUKSAFE_AGE_VECTORS", "")


@pytest.mark.skipif(not VECTORS, reason="no C2SP age vectors (set LUKSAFE_AGE_VECTORS)")
def test_the_scrypt_vectors_of_age() -> None:
    seen = 0
    for path in sorted(Path(VECTORS).glob("scrypt*")):
        head, _, body = path.read_bytes().partition(b"\n\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        data = zlib.decompress(body) if "compressed" in fields else body
        try:
            plaintext = unseal_scrypt(data, SecretBytes(fields.get("passphrase", "").encode()))
        except LuksafeError:
            assert fields["expect"] != "success", path.name
        else:
            assert (fields["expect"], hashlib.sha256(plaintext).hexdigest()) == ("success", fields["payload"])
        seen += 1
    assert seen > 5
