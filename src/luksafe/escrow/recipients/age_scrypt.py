"""Open an age file sealed with a passphrase (C2SP age, sections "scrypt recipient stanza" and "Payload").

pyrage refuses what would take this machine long: a packet of a fast machine would stay shut on the slow one at hand.
"""

from __future__ import annotations

import base64
import binascii
import re

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from luksafe.errors import DamagedInput, KeyRejected, Unsupported
from luksafe.secret import SecretBytes

MOST_WORK = 22  # 2^22 blocks of 1 KiB are 4 GiB; age itself refuses more
CHUNK_BYTES = (64 << 10) + 16
ARMOR = re.compile(rb"-----BEGIN AGE ENCRYPTED FILE-----\s(.*)-----END AGE ENCRYPTED FILE-----\s*", re.DOTALL)
HEADER = re.compile(
    rb"(age-encryption\.org/v1\n-> scrypt ([A-Za-z0-9+/]{22}) ([1-9][0-9]?)\n([A-Za-z0-9+/]{43})\n---) "
    rb"([A-Za-z0-9+/]{43})\n"
)


def unseal_scrypt(sealed: bytes, passphrase: SecretBytes) -> bytes:
    """The plaintext of an age file with a scrypt stanza. Raises KeyRejected, DamagedInput, Unsupported (too costly)."""
    armored = ARMOR.fullmatch(sealed)
    try:
        data = base64.b64decode(b"".join(armored[1].split()), validate=True) if armored else sealed
        return _unseal(data, passphrase)
    except (binascii.Error, InvalidTag, InvalidSignature):
        raise DamagedInput("the sealed packet is damaged", hint="take another copy of it") from None


def require_bearable(log_n: int) -> None:
    """Raise Unsupported for a work factor that age itself refuses."""
    if log_n > MOST_WORK:
        raise Unsupported(
            f"the packet asks for 2^{log_n} blocks of scrypt; age refuses more than 2^{MOST_WORK}",
            hint="luksafe and age do not make such files: take another copy of the packet",
        )


def _unseal(data: bytes, passphrase: SecretBytes) -> bytes:
    header = HEADER.match(data)
    if header is None:
        raise DamagedInput("the sealed packet is damaged: its header is not as age has it", hint="take another copy")
    signed, salt, log_n, wrapped, mac = header.groups()
    require_bearable(int(log_n))
    file_key = _file_key(_decoded(salt), int(log_n), _decoded(wrapped), passphrase)
    tag = hmac.HMAC(_derived(file_key, b"", b"header"), hashes.SHA256())
    tag.update(signed)
    tag.verify(_decoded(mac))
    nonce, payload = data[header.end() :][:16], data[header.end() + 16 :]
    return _payload(ChaCha20Poly1305(_derived(file_key, nonce, b"payload")), payload)


def _file_key(salt: bytes, log_n: int, wrapped: bytes, passphrase: SecretBytes) -> bytes:
    scrypt = Scrypt(salt=b"age-encryption.org/v1/scrypt" + salt, length=32, n=1 << log_n, r=8, p=1)
    try:
        return ChaCha20Poly1305(scrypt.derive(passphrase.reveal())).decrypt(bytes(12), wrapped, None)
    except InvalidTag:
        raise KeyRejected("the packet does not open with this passphrase (or its first lines are damaged)") from None
    except MemoryError:
        raise Unsupported(
            f"this packet needs {1 << log_n >> 10} MiB of memory to open",
            hint="close other programs, or open it on a machine with more memory: age -d",
            code="out-of-memory",
        ) from None


def _payload(cipher: ChaCha20Poly1305, payload: bytes) -> bytes:
    """The chunks; the last one says so in its nonce, and only a whole file's single chunk may be empty."""
    starts = range(0, max(len(payload), 1), CHUNK_BYTES)
    plain = [
        cipher.decrypt(
            (at // CHUNK_BYTES).to_bytes(11, "big") + (b"\1" if at == starts[-1] else b"\0"),
            payload[at : at + CHUNK_BYTES],
            None,
        )
        for at in starts
    ]
    if len(plain) > 1 and not plain[-1]:
        raise DamagedInput("the sealed packet is damaged: it ends with an empty piece")
    return b"".join(plain)


def _derived(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, info).derive(key)


def _decoded(text: bytes) -> bytes:
    """Base64 without padding, in the one spelling that age allows."""
    data = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    if base64.b64encode(data).rstrip(b"=") != text:
        raise binascii.Error("not canonical")
    return data
