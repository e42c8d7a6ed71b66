"""OpenPGP messages under a passphrase: every way that RFC 4880 allows and gpg has used."""

from __future__ import annotations

import bz2
import hashlib
import os
import zlib

import pytest
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher

from luksafe.errors import DamagedInput, KeyRejected, Unsupported
from luksafe.escrow.volume_key.openpgp import CIPHERS, decrypt, encrypt
from luksafe.escrow.volume_key.openpgp_packets import (
    COMPRESSED,
    ENCRYPTED,
    ENCRYPTED_WITH_MDC,
    LITERAL,
    SESSION_KEY,
    frame,
    parse_packets,
)
from luksafe.secret import SecretBytes

WORDS = SecretBytes(b"a passphrase")
LITERAL_PACKET = frame(LITERAL, b"b\x04name" + bytes(4) + b"plaintext")
SALT = bytes(range(8))


def old_frame(tag: int, body: bytes) -> bytes:
    """The old spelling with two bytes of length, as gpg writes it."""
    return bytes([0x80 | tag << 2 | 1]) + len(body).to_bytes(2, "big") + body


def simple_key(hash_name: str, size: int) -> bytes:
    key = b""
    while len(key) < size:
        key += hashlib.new(hash_name, bytes(len(key) // hashlib.new(hash_name).digest_size) + WORDS.reveal()).digest()
    return key[:size]


def cfb(cipher: int, key: bytes, data: bytes, iv: bytes | None = None) -> bytes:
    algorithm = CIPHERS[cipher][0](key)
    encryptor = Cipher(algorithm, CFB(iv or bytes(algorithm.block_size // 8))).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def message(cipher: int, *, mdc: bool = True, inner: bytes = LITERAL_PACKET, s2k: bytes = b"\x00\x02") -> bytes:
    """A message whose key comes from a simple or salted S2K with SHA-1."""
    prefix = SALT if s2k[0] == 1 else b""
    size = CIPHERS[cipher][1]
    key = b""
    while len(key) < size:
        key += hashlib.sha1(bytes(len(key) // 20) + prefix + WORDS.reveal()).digest()
    key = key[:size]
    head = frame(SESSION_KEY, bytes([4, cipher]) + s2k)
    block = CIPHERS[cipher][0](key).block_size // 8
    random = bytes(range(1, block + 1))
    start = random + random[-2:]
    if mdc:
        body = start + inner + b"\xd3\x14"
        return head + frame(ENCRYPTED_WITH_MDC, b"\x01" + cfb(cipher, key, body + hashlib.sha1(body).digest()))
    sealed = cfb(cipher, key, start)
    return head + frame(ENCRYPTED, sealed + cfb(cipher, key, inner, iv=sealed[2:]))


@pytest.mark.parametrize("cipher", sorted(CIPHERS))
@pytest.mark.parametrize("mdc", [True, False])
def test_every_cipher(cipher: int, mdc: bool) -> None:
    assert decrypt(message(cipher, mdc=mdc), WORDS).reveal() == b"plaintext"
    with pytest.raises(KeyRejected):
        decrypt(message(cipher, mdc=mdc), SecretBytes(b"another one"))


def test_salted() -> None:
    assert decrypt(message(3, s2k=b"\x01\x02" + SALT), WORDS).reveal() == b"plaintext"


def test_our_own() -> None:
    assert decrypt(encrypt(b"plaintext", WORDS, os.urandom), WORDS).reveal() == b"plaintext"


@pytest.mark.parametrize(
    "inner",
    [
        frame(COMPRESSED, b"\x00" + LITERAL_PACKET),
        frame(COMPRESSED, b"\x01" + zlib.compress(LITERAL_PACKET)[2:-4]),
        frame(COMPRESSED, b"\x02" + zlib.compress(LITERAL_PACKET)),
        frame(COMPRESSED, b"\x03" + bz2.compress(LITERAL_PACKET)),
        bytes([0xA3, 2]) + zlib.compress(LITERAL_PACKET),
        old_frame(LITERAL, b"b\x00" + bytes(4) + b"plaintext"),
        bytes([0xC0 | LITERAL, 0xE3]) + b"b\x00" + bytes(4) + b"pl" + b"\x07aintext",
    ],
    ids=["stored", "zip", "zlib", "bzip2", "endless", "old", "partial"],
)
def test_every_spelling(inner: bytes) -> None:
    assert decrypt(message(9, inner=inner), WORDS).reveal() == b"plaintext"


def test_long_lengths() -> None:
    text = bytes(5000)
    body = b"b\x00" + bytes(4) + text
    two = len(body) - 192
    inner = bytes([0xC0 | LITERAL, 192 + (two >> 8), two & 255]) + body
    assert decrypt(message(7, inner=inner), WORDS).reveal() == text


def test_a_session_key_of_its_own() -> None:
    key = simple_key("sha1", 16)
    session = bytes(range(32))
    head = frame(SESSION_KEY, bytes([4, 7, 0, 2]) + cfb(7, key, b"\x09" + session))
    random = bytes(range(16))
    body = random + random[-2:] + LITERAL_PACKET + b"\xd3\x14"
    sealed = frame(ENCRYPTED_WITH_MDC, b"\x01" + cfb(9, session, body + hashlib.sha1(body).digest()))
    assert decrypt(head + sealed, WORDS).reveal() == b"plaintext"
    with pytest.raises((KeyRejected, Unsupported)):
        decrypt(head + sealed, SecretBytes(b"another one"))


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"text",
        b"\x8c",
        frame(SESSION_KEY, b"\x04\x03\x00\x02"),
        message(3)[:-1],
        message(3)[:-1] + b"\0",
        message(3)[: message(3).index(b"\xd2") + 6 + 20],
        message(3, inner=b""),
        message(3, inner=frame(COMPRESSED, b"\x02junk")),
        message(3, inner=frame(COMPRESSED, b"\x03junk")),
        message(3, inner=frame(COMPRESSED, b"\x02" + zlib.compress(bytes(2 << 20)))),
        message(3, inner=frame(LITERAL, b"b\xff")),
        frame(SESSION_KEY, b"\x04\x03\x00\x02") + frame(ENCRYPTED_WITH_MDC, b"\x02" + bytes(60)),
        frame(SESSION_KEY, b"\x04\x03\x00\x02") + frame(ENCRYPTED, b"\x02"),
        bytes(2 << 20),
    ],
    ids=range(15),
)
def test_damage(damaged: bytes) -> None:
    with pytest.raises(DamagedInput):
        decrypt(damaged, WORDS)


def nested(depth: int) -> bytes:
    inner = LITERAL_PACKET
    for _ in range(depth):
        inner = frame(COMPRESSED, b"\x00" + inner)
    return inner


def test_nesting_is_bounded() -> None:
    assert decrypt(message(3, inner=nested(4)), WORDS).reveal() == b"plaintext"
    with pytest.raises(DamagedInput):
        decrypt(message(3, inner=nested(5)), WORDS)


@pytest.mark.parametrize(
    "head",
    [
        b"\x05\x09\x00\x02",
        b"\x04\x09",
        b"\x04\x0a\x00\x02",
        b"\x04\x09\x00\x63",
        b"\x04\x09\x02\x02" + bytes(9),
        b"\x04\x09\x03\x02" + bytes(3),
    ],
    ids=["version 5", "short", "twofish", "hash", "way", "cut"],
)
def test_unsupported(head: bytes) -> None:
    with pytest.raises(Unsupported):
        decrypt(frame(SESSION_KEY, head) + frame(ENCRYPTED, bytes(40)), WORDS)


def test_public_key_messages_and_strange_compression() -> None:
    with pytest.raises(Unsupported, match="not sealed with a passphrase"):
        decrypt(frame(1, b"x") + frame(ENCRYPTED, bytes(40)), WORDS)
    with pytest.raises(Unsupported, match="compression number 9"):
        decrypt(message(3, inner=frame(COMPRESSED, b"\x09junk")), WORDS)


def test_many_packets_are_not_all_read() -> None:
    assert len(parse_packets(frame(10, b"") * 1000)) == 64
