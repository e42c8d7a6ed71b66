"""A packet of a fast machine opens on a slow one: what pyrage refuses for the time it takes is opened all the same."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import zlib
from pathlib import Path

import pyrage
import pytest
from unit.escrow.recipients.age_writer import CHUNK, SALT, AgeFile, chunks_of, encoded

from luksafe.errors import DamagedInput, KeyRejected, LuksafeError, Unsupported
from luksafe.escrow.recipients import age_scrypt
from luksafe.escrow.recipients import passphrase as module
from luksafe.escrow.recipients.age_scrypt import dearmored, require_bearable, unseal_scrypt
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


TEXT = b"secret" * 300
THREE = chunks_of(bytes(2 * CHUNK + 100))


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 100])
def test_what_the_specification_says(size: int) -> None:
    """Written by another hand; and pyrage, the third, agrees that these files are right."""
    plaintext = os.urandom(size)
    sealed = bytes(AgeFile(chunks_of(plaintext), log_n=2))
    assert unseal_scrypt(sealed, WORDS) == plaintext
    assert pyrage.passphrase.decrypt(sealed, "words of the packet") == plaintext
    armored = b"-----BEGIN AGE ENCRYPTED FILE-----\n" + b"\n".join(in_lines(sealed)) + b"\n"
    assert unseal_scrypt(armored + b"-----END AGE ENCRYPTED FILE-----\n", WORDS) == plaintext


def in_lines(sealed: bytes) -> list[bytes]:
    text = base64.b64encode(sealed)
    return [text[at : at + 64] for at in range(0, len(text), 64)]


GOOD = AgeFile(chunks_of(TEXT))
X25519 = b"-> X25519 " + encoded(bytes(32)) + b"\n" + encoded(bytes(32)) + b"\n"
NOT_CANONICAL = encoded(SALT)[:-1] + bytes([encoded(SALT)[-1] + 1])
HOSTILE = {
    "scrypt beside another stanza": AgeFile(chunks_of(TEXT), after=X25519),
    "scrypt behind another stanza": AgeFile(chunks_of(TEXT), before=X25519),
    "scrypt twice": AgeFile(chunks_of(TEXT), before=b"-> scrypt " + GOOD.salt + b" 1\n" + GOOD.body + b"\n"),
    "one more argument": AgeFile(chunks_of(TEXT), factor=b"1 1"),
    "a factor of 0": AgeFile(chunks_of(TEXT), factor=b"0"),
    "a factor with a zero": AgeFile(chunks_of(TEXT), factor=b"01"),
    "a factor with a sign": AgeFile(chunks_of(TEXT), factor=b"+1"),
    "a factor of Arabic digits": AgeFile(chunks_of(TEXT), factor="\u0661".encode()),
    "a factor without end": AgeFile(chunks_of(TEXT), factor=b"1" * 4000),
    "a salt in another spelling": AgeFile(chunks_of(TEXT), salt=NOT_CANONICAL),
    "a salt with padding": AgeFile(chunks_of(TEXT), salt=GOOD.salt + b"=="),
    "a short salt": AgeFile(chunks_of(TEXT), salt=encoded(SALT[:-1])),
    "a longer file key": AgeFile(chunks_of(TEXT), file_key=bytes(24)),
    "a stanza of CRLF": AgeFile(chunks_of(TEXT), stanza=b"-> scrypt " + GOOD.salt + b" 1\r\n" + GOOD.body + b"\r\n"),
    "another version": AgeFile(chunks_of(TEXT), version=b"age-encryption.org/v2\n"),
    "another MAC": AgeFile(chunks_of(TEXT), mac=encoded(bytes(32))),
    "a MAC with padding": AgeFile(chunks_of(TEXT), mac=bytes(GOOD).split(b"--- ")[1][:43] + b"="),
    "no last chunk": AgeFile(THREE[:2]),
    "no chunk": AgeFile([]),
    "a short nonce and no chunk": AgeFile([], nonce=bytes(8)),
    "none that says it is the last": AgeFile([(p, n, False) for p, n, _ in THREE]),
    "one before the last says so": AgeFile([(THREE[0][0], 0, True), *THREE[1:]]),
    "chunks exchanged": AgeFile([THREE[1], THREE[0], THREE[2]]),
    "a chunk twice": AgeFile([THREE[0], *THREE]),
    "a chunk too few": AgeFile([THREE[0], THREE[2]]),
    "an empty last chunk": AgeFile([THREE[0], (b"", 1, True)]),
    "an empty last chunk of three": AgeFile([*THREE[:2], (b"", 2, True)]),
    "a short chunk first": AgeFile([(b"short", 0, False), (TEXT, 1, True)]),
    "a counter that begins at 1": AgeFile([(TEXT, 1, True)]),
    "a byte more": AgeFile(chunks_of(TEXT), trailing=b"\0"),
    "a chunk more": AgeFile(chunks_of(TEXT), trailing=bytes(CHUNK + 16)),
    "a line more": AgeFile(chunks_of(TEXT), trailing=b"\n"),
}


def test_the_writer_is_right_where_nothing_is_changed() -> None:
    assert unseal_scrypt(bytes(GOOD), WORDS) == TEXT


@pytest.mark.parametrize("name", HOSTILE)
def test_what_the_specification_forbids(name: str) -> None:
    with pytest.raises(DamagedInput):
        unseal_scrypt(bytes(HOSTILE[name]), WORDS)
    with pytest.raises(LuksafeError):
        Passphrase(WORDS).unseal(bytes(HOSTILE[name]))


def test_every_bit_and_every_cut() -> None:
    sealed = bytes(AgeFile(chunks_of(b"0123456789")))
    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(LuksafeError):
            unseal_scrypt(bytes(changed), WORDS)
    for size in range(len(sealed)):
        with pytest.raises(DamagedInput):
            unseal_scrypt(sealed[:size], WORDS)


@pytest.mark.parametrize("log_n", [17, 23, 30, 99])
def test_no_memory_is_taken_before_the_factor_is_judged(log_n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither beyond age's own limit nor beyond what this machine can give; pyrage is not asked either."""

    def taken(*_: object, **__: object) -> None:
        raise AssertionError("it was begun")

    monkeypatch.setattr(age_scrypt, "available_memory_kib", lambda: 100 << 10)
    monkeypatch.setattr(age_scrypt, "Scrypt", taken)
    monkeypatch.setattr(module.pyrage.passphrase, "decrypt", taken)
    sealed = bytes(AgeFile(chunks_of(TEXT), factor=str(log_n).encode()))
    for unseal in (lambda: unseal_scrypt(sealed, WORDS), lambda: Passphrase(WORDS).unseal(sealed)):
        with pytest.raises(Unsupported) as caught:
            unseal()
        assert (caught.value.code == "out-of-memory") == (log_n == 17)


def test_a_machine_that_does_not_tell_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(age_scrypt, "available_memory_kib", lambda: None)
    require_bearable(22)


ARMOR = "-----BEGIN AGE ENCRYPTED FILE-----\n{}\n-----END AGE ENCRYPTED FILE-----\n"
LINE = base64.b64encode(bytes(48)).decode()
WRONG_ARMOR = [
    LINE[:60] + "\n" + LINE,
    LINE + LINE,
    LINE + "\n",
    "\n" + LINE,
    LINE + "\n\nAAAA",
    " " + LINE,
    LINE + " ",
    LINE + "\nAA=",
    LINE + "\nAB==",
    LINE + "\nAA\n==",
    "Version: 1\n\n" + LINE,
    "",
]


@pytest.mark.parametrize("text", WRONG_ARMOR)
def test_armor_in_another_spelling(text: str) -> None:
    assert dearmored(ARMOR.format(LINE).encode()) == bytes(48)
    assert dearmored(("\n " + ARMOR.format(LINE + "\nAA==") + "\t\n").replace("\n", "\r\n").encode()) == bytes(49)
    with pytest.raises(binascii.Error):
        dearmored(ARMOR.format(text).encode())


VECTORS = os.environ.get("LUKSAFE_AGE_VECTORS", "")


@pytest.mark.skipif(not VECTORS, reason="no C2SP age vectors (set LUKSAFE_AGE_VECTORS)")
def test_the_scrypt_vectors_of_age() -> None:
    seen = 0
    for path in sorted([*Path(VECTORS).glob("scrypt*"), *Path(VECTORS).glob("armor_scrypt*")]):
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


@pytest.mark.skipif(not VECTORS, reason="no C2SP age vectors (set LUKSAFE_AGE_VECTORS)")
def test_the_armor_vectors_of_age() -> None:
    """Of what is sealed to keys, the armor alone: pyrage opens the rest."""
    seen = 0
    for path in sorted(Path(VECTORS).glob("armor_*")):
        head, _, body = path.read_bytes().partition(b"\n\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        try:
            data = dearmored(zlib.decompress(body) if "compressed" in fields else body)
        except binascii.Error:
            assert fields["expect"] == "armor failure", path.name
        else:
            assert fields["expect"] != "armor failure" or not data.startswith(b"age-encryption.org/"), path.name
        seen += 1
    assert seen > 20
