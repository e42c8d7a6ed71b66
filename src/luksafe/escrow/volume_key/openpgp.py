"""OpenPGP messages under a passphrase (RFC 4880), as ``gpg --symmetric`` makes them; no more than volume_key needs."""

from __future__ import annotations

import bz2
import hashlib
import hmac
import zlib
from collections.abc import Callable

from cryptography.hazmat.decrepit.ciphers import algorithms as decrepit
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from luksafe.errors import DamagedInput, KeyRejected, Unsupported
from luksafe.escrow.volume_key.openpgp_packets import (
    COMPRESSED,
    ENCRYPTED,
    ENCRYPTED_WITH_MDC,
    LITERAL,
    MDC,
    SESSION_KEY,
    frame,
    parse_packets,
)
from luksafe.secret import SecretBytes

MAX_PLAINTEXT = 1 << 20
MAX_NESTING = 4

CIPHERS: dict[int, tuple[Callable[[bytes], BlockCipherAlgorithm], int]] = {
    1: (decrepit.IDEA, 16),
    2: (decrepit.TripleDES, 24),
    3: (decrepit.CAST5, 16),
    4: (decrepit.Blowfish, 16),
    7: (AES, 16),
    8: (AES, 24),
    9: (AES, 32),
    11: (decrepit.Camellia, 16),
    12: (decrepit.Camellia, 24),
    13: (decrepit.Camellia, 32),
}
HASHES = {1: "md5", 2: "sha1", 3: "ripemd160", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224"}
AES_256 = 9
SHA_256 = 8
ITERATED = 3
SLOWEST_COUNT = 0xFF


def decrypt(message: bytes, passphrase: SecretBytes) -> SecretBytes:
    """The literal data of a message; raises KeyRejected, DamagedInput (cut, altered), Unsupported (cipher, hash)."""
    packets = parse_packets(message)
    key_packets = [body for tag, body in packets if tag == SESSION_KEY]
    sealed = next(((tag, body) for tag, body in packets if tag in (ENCRYPTED, ENCRYPTED_WITH_MDC)), None)
    if sealed is None:
        raise DamagedInput("the OpenPGP message holds nothing encrypted")
    if not key_packets:
        raise Unsupported("the OpenPGP message is not sealed with a passphrase", hint="open it with gpg")
    cipher, key = _session_key(key_packets[0], passphrase)
    tag, body = sealed
    with key:
        text = _open_with_mdc(body, cipher, key) if tag == ENCRYPTED_WITH_MDC else _open_without_mdc(body, cipher, key)
    return _literal(text, 0)


def encrypt(plaintext: bytes, passphrase: SecretBytes, random_bytes: Callable[[int], bytes]) -> bytes:
    """A message that ``gpg --decrypt`` opens: AES-256, integrity protected, SHA-256 iterated 65 million bytes long."""
    salt, prefix = random_bytes(8), random_bytes(16)
    s2k = bytes([ITERATED, SHA_256]) + salt + bytes([SLOWEST_COUNT])
    head = frame(SESSION_KEY, bytes([4, AES_256]) + s2k)
    literal = frame(LITERAL, b"b\x00" + bytes(4) + plaintext)
    body = prefix + prefix[-2:] + literal + b"\xd3\x14"
    body += hashlib.sha1(body).digest()  # noqa: S324 - the format's checksum
    with _derive(s2k, passphrase, CIPHERS[AES_256][1]) as key:
        encryptor = Cipher(AES(key.view), CFB(bytes(16))).encryptor()
        return head + frame(ENCRYPTED_WITH_MDC, b"\x01" + encryptor.update(body) + encryptor.finalize())


def _session_key(body: bytes, passphrase: SecretBytes) -> tuple[int, SecretBytes]:
    """The cipher and key that a symmetric-key encrypted session key packet gives (RFC 4880 section 5.3)."""
    if len(body) < 4 or body[0] != 4:
        raise Unsupported("this kind of OpenPGP session key packet", hint="open it with gpg")
    cipher, s2k = body[1], body[2:]
    length = {0: 2, 1: 10, ITERATED: 11}.get(s2k[0])
    if length is None or len(s2k) < length:
        raise Unsupported("this way of making a key from a passphrase in OpenPGP", hint="open it with gpg")
    key = _derive(s2k, passphrase, _cipher(cipher)[1])
    wrapped = s2k[length:]
    if not wrapped:
        return cipher, key
    with key:
        unwrapped = _cfb(cipher, key, wrapped)
    with SecretBytes(unwrapped) as session:
        if _cipher(session.view[0])[1] != len(session) - 1:
            raise _rejected()
        return session.view[0], SecretBytes(session.view[1:])


def _derive(s2k: bytes, passphrase: SecretBytes, size: int) -> SecretBytes:
    """String-to-key (RFC 4880 section 3.7): simple, salted, or salted and iterated (65 million bytes at most)."""
    name = HASHES.get(s2k[1])
    if name is None:
        raise Unsupported(f"OpenPGP hash number {s2k[1]}", hint="open it with gpg")
    text = (s2k[2:10] if s2k[0] in (1, ITERATED) else b"") + passphrase.reveal()
    count = (16 + (s2k[10] & 15)) << ((s2k[10] >> 4) + 6) if s2k[0] == ITERATED else 0
    whole, rest = divmod(max(count, len(text)), len(text) or 1)
    step = max(1, (1 << 16) // (len(text) or 1))
    key = bytearray()
    while len(key) < size:
        digest = _new_hash(name)
        digest.update(bytes(len(key) // digest.digest_size))
        for done in range(0, whole, step):
            digest.update(text * min(step, whole - done))
        digest.update(text[:rest])
        key += digest.digest()
    return SecretBytes.take(key[:size])


def _new_hash(name: str) -> hashlib._Hash:
    try:
        return hashlib.new(name, usedforsecurity=False)
    except ValueError:
        raise Unsupported(f"the hash {name} is not in this OpenSSL", hint="open it with gpg") from None


def _cipher(number: int) -> tuple[Callable[[bytes], BlockCipherAlgorithm], int]:
    if number not in CIPHERS:
        raise Unsupported(f"OpenPGP cipher number {number}", hint="open it with gpg")
    return CIPHERS[number]


def _cfb(cipher: int, key: SecretBytes, data: bytes, iv: bytes | None = None) -> bytes:
    algorithm = _cipher(cipher)[0](key.reveal())
    decryptor = Cipher(algorithm, CFB(iv or bytes(algorithm.block_size // 8))).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def _open_with_mdc(body: bytes, cipher: int, key: SecretBytes) -> bytes:
    """Packet type 18: random prefix, data, and a SHA-1 of it all (RFC 4880 section 5.13)."""
    block = _cipher(cipher)[0](key.reveal()).block_size // 8
    if body[:1] != b"\x01" or len(body) < 1 + block + 2 + len(MDC) + 20:
        raise DamagedInput("the OpenPGP message is cut off or of an unknown version")
    text = _cfb(cipher, key, body[1:])
    if text[block - 2 : block] != text[block : block + 2]:
        raise _rejected()
    covered, digest = text[:-20], text[-20:]
    if not covered.endswith(MDC) or not hmac.compare_digest(hashlib.sha1(covered).digest(), digest):  # noqa: S324
        raise DamagedInput("the OpenPGP message was altered or cut off", hint="take another copy of the packet")
    return covered[block + 2 : -len(MDC)]


def _open_without_mdc(body: bytes, cipher: int, key: SecretBytes) -> bytes:
    """Packet type 9, unauthenticated: the data's CFB begins anew after the prefix (RFC 4880 section 13.9)."""
    block = _cipher(cipher)[0](key.reveal()).block_size // 8
    if len(body) < block + 2:
        raise DamagedInput("the OpenPGP message is cut off")
    prefix = _cfb(cipher, key, body[: block + 2])
    if prefix[block - 2 : block] != prefix[block:]:
        raise _rejected()
    return _cfb(cipher, key, body[block + 2 :], iv=body[2 : block + 2])


def _literal(data: bytes, depth: int) -> SecretBytes:
    """The content of the literal packet, out of compressed ones where need be."""
    for tag, body in parse_packets(data):
        if tag == LITERAL and len(body) >= 2 and len(body) >= 6 + body[1]:
            return SecretBytes(body[6 + body[1] :])
        if tag == COMPRESSED and depth < MAX_NESTING and body:
            return _literal(_decompress(body), depth + 1)
    raise DamagedInput("the OpenPGP message holds no data")


def _decompress(body: bytes) -> bytes:
    if body[0] == 0:
        return body[1:]
    if body[0] not in (1, 2, 3):
        raise Unsupported(f"OpenPGP compression number {body[0]}", hint="open it with gpg")
    try:
        if body[0] == 3:
            data = bz2.BZ2Decompressor().decompress(body[1:], MAX_PLAINTEXT + 1)
        else:
            data = zlib.decompressobj(-15 if body[0] == 1 else 15).decompress(body[1:], MAX_PLAINTEXT + 1)
    except (zlib.error, OSError):
        raise DamagedInput("the compressed part of the OpenPGP message is damaged") from None
    if len(data) > MAX_PLAINTEXT:
        raise DamagedInput("the OpenPGP message is far too large for a packet")
    return data


def _rejected() -> KeyRejected:
    return KeyRejected("the passphrase does not open the volume_key packet (or its beginning is damaged)")
