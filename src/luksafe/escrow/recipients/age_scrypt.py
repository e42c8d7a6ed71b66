"""Open an age file sealed with a passphrase (C2SP age, sections "scrypt recipient stanza" and "Payload").

pyrage does that, too, but for what would take this machine some 16 seconds or more, and it has no option for it: a
packet of a fast machine would stay shut on the slow or busy one at hand. This is for those packets alone.
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

from luksafe.crypto.kdf_limits import available_memory_kib
from luksafe.errors import DamagedInput, KeyRejected, Unsupported
from luksafe.secret import SecretBytes

MOST_WORK = 22  # 2^22 blocks of 1 KiB are 4 GiB; age itself refuses more
CHUNK_BYTES = (64 << 10) + 16
ARMOR_LINE = 64
ARMOR = re.compile(rb"-----BEGIN AGE ENCRYPTED FILE-----\r?\n(.*?)\r?\n-----END AGE ENCRYPTED FILE-----", re.DOTALL)
HEADER = re.compile(
    rb"(age-encryption\.org/v1\n-> scrypt ([A-Za-z0-9+/]{22}) ([1-9][0-9]?)\n([A-Za-z0-9+/]{43})\n---) "
    rb"([A-Za-z0-9+/]{43})\n"
)


def unseal_scrypt(sealed: bytes, passphrase: SecretBytes) -> bytes:
    """The plaintext of an age file with a scrypt stanza. Raises KeyRejected, DamagedInput, Unsupported (too costly)."""
    try:
        return _unseal(dearmored(sealed), passphrase)
    except (binascii.Error, InvalidTag, InvalidSignature):
        raise DamagedInput("the sealed packet is damaged", hint="take another copy of it") from None


def dearmored(sealed: bytes) -> bytes:
    """What is in an armored file, any other as it is. Raises binascii.Error for armor that age would not take."""
    armored = ARMOR.fullmatch(sealed.strip())
    if armored is None:
        return sealed
    *full, last = re.split(rb"\r?\n", armored[1])
    if any(len(line) != ARMOR_LINE for line in full) or not 0 < len(last) <= ARMOR_LINE:
        raise binascii.Error("lines of another length")
    return _canonical(b"".join([*full, last]))


def require_bearable(log_n: int, available_kib: int | None = None) -> None:
    """Raise Unsupported, before any memory is taken, for a work factor beyond age's own limit or this machine's memory.

    ``available_kib`` is what this machine can give now; None: ask it.
    """
    if log_n > MOST_WORK:
        raise Unsupported(
            f"the packet asks for 2^{log_n} blocks of scrypt; age refuses more than 2^{MOST_WORK}",
            hint="luksafe and age do not make such files: take another copy of the packet",
        )
    available_kib = available_memory_kib() if available_kib is None else available_kib
    if available_kib is not None and available_kib < 1 << log_n:
        raise _out_of_memory(log_n)


def _out_of_memory(log_n: int) -> Unsupported:
    return Unsupported(
        f"this packet needs {max(1, 1 << log_n >> 10)} MiB of memory to open",
        hint="close other programs, or open it on a machine with more memory: age -d",
        code="out-of-memory",
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
        raise _out_of_memory(log_n) from None


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
    return _canonical(text + b"=" * (-len(text) % 4))


def _canonical(text: bytes) -> bytes:
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data) != text:
        raise binascii.Error("not canonical")
    return data
