"""Age files with a scrypt stanza as the specification has them, and as it forbids them: every part can be replaced."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

PASSPHRASE = b"words of the packet"
FILE_KEY, SALT, NONCE = bytes(range(16)), bytes(range(100, 116)), bytes(range(200, 216))
CHUNK = 64 << 10


def encoded(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 of 32 bytes, written out: one block."""
    return hmac.digest(hmac.digest(salt or bytes(32), key, "sha256"), info + b"\1", "sha256")


@dataclass
class AgeFile:
    """The parts of a file. ``chunks`` are plaintext with the counter and the last flag that each is sealed with."""

    chunks: Sequence[tuple[bytes, int, bool]]
    log_n: int = 1
    factor: bytes = b""
    file_key: bytes = FILE_KEY
    version: bytes = b"age-encryption.org/v1\n"
    salt: bytes = encoded(SALT)
    stanza: bytes = b""
    before: bytes = b""
    after: bytes = b""
    mac: bytes = b""
    nonce: bytes = NONCE
    trailing: bytes = b""

    @property
    def body(self) -> bytes:
        """The file key, wrapped."""
        label = b"age-encryption.org/v1/scrypt" + SALT
        wrapping = hashlib.scrypt(PASSPHRASE, salt=label, n=1 << self.log_n, r=8, p=1, dklen=32)
        return encoded(ChaCha20Poly1305(wrapping).encrypt(bytes(12), self.file_key, None))

    def __bytes__(self) -> bytes:
        factor = self.factor or str(self.log_n).encode()
        stanza = self.stanza or b"-> scrypt " + self.salt + b" " + factor + b"\n" + self.body + b"\n"
        header = self.version + self.before + stanza + self.after + b"---"
        mac = self.mac or encoded(hmac.digest(hkdf(self.file_key, b"", b"header"), header, "sha256"))
        cipher = ChaCha20Poly1305(hkdf(self.file_key, self.nonce, b"payload"))
        payload = b"".join(
            cipher.encrypt(number.to_bytes(11, "big") + bytes([last]), plain, None)
            for plain, number, last in self.chunks
        )
        return header + b" " + mac + b"\n" + self.nonce + payload + self.trailing


def chunks_of(plaintext: bytes) -> list[tuple[bytes, int, bool]]:
    """As age cuts them."""
    starts = range(0, max(1, len(plaintext)), CHUNK)
    return [(plaintext[at : at + CHUNK], at // CHUNK, at == starts[-1]) for at in starts]
