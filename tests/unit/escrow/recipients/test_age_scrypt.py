"""A packet of a fast machine opens on a slow one: what pyrage refuses for the time it takes is opened all the same."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import zlib
from pathlib import Path

import pyrage
import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

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


def cheaply_sealed(plaintext: bytes) -> bytes:
    """An age file as C2SP has it, of at most one chunk, at a scrypt cost that pyrage would never choose."""

    def text(data: bytes) -> bytes:
        return base64.b64encode(data).rstrip(b"=")

    def derived(salt: bytes, info: bytes) -> bytes:
        return HKDF(SHA256(), 32, salt, info).derive(file_key)

    file_key, salt, nonce = os.urandom(16), os.urandom(16), os.urandom(16)
    key = Scrypt(salt=b"age-encryption.org/v1/scrypt" + salt, length=32, n=1 << 4, r=8, p=1).derive(WORDS.reveal())
    stanza = text(salt) + b" 4\n" + text(ChaCha20Poly1305(key).encrypt(bytes(12), file_key, None))
    header = b"age-encryption.org/v1\n-> scrypt " + stanza + b"\n---"
    mac = hmac.digest(derived(b"", b"header"), header, "sha256")
    payload = ChaCha20Poly1305(derived(nonce, b"payload")).encrypt(bytes(11) + b"\1", plaintext, None)
    return header + b" " + text(mac) + b"\n" + nonce + payload


@pytest.mark.parametrize(("size", "armored"), SIZES)
def test_what_age_sealed(size: int, armored: bool) -> None:
    plaintext = os.urandom(size)
    data = bytes(pyrage.passphrase.encrypt(plaintext, "words of the packet", armored=armored))
    assert unseal_scrypt(data, WORDS) == plaintext


def test_another_passphrase(sealed: bytes) -> None:
    with pytest.raises(KeyRejected):
        unseal_scrypt(sealed, SecretBytes(b"other words"))


def test_every_part_is_authenticated() -> None:
    sealed = cheaply_sealed(b"secret" * 300)
    assert pyrage.passphrase.decrypt(sealed, WORDS.reveal().decode()) == unseal_scrypt(sealed, WORDS)
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(LuksafeError):
            unseal_scrypt(bytes(changed), WORDS)
    for size in range(len(sealed)):
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
