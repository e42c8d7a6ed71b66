"""Raw block ciphers: what a provider must offer, and which provider does which cipher."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from luksafe.errors import DamagedInput, Unsupported

WritableBuffer: TypeAlias = bytearray | memoryview
Buffer: TypeAlias = bytes | WritableBuffer

KEY_SIZES: dict[str, frozenset[int]] = {
    "aes": frozenset({16, 24, 32}),
    "serpent": frozenset({16, 24, 32}),
    "twofish": frozenset({16, 24, 32}),
    "camellia": frozenset({16, 24, 32}),
    "aria": frozenset({16, 24, 32}),
    "sm4": frozenset({16}),
    "seed": frozenset({16}),
    "cast5": frozenset(range(5, 17)),
    "blowfish": frozenset(range(4, 57)),
    "des3_ede": frozenset({24}),
}
"""The ciphers that some provider may have, by the kernel's names, and the key sizes in bytes that the kernel takes."""


class Provider(Protocol):
    """What a library's module offers."""

    def has_cipher(self, name: str, key_size: int, /) -> bool:
        """Whether it has this cipher with keys of that many bytes."""
        ...

    def block_cipher(self, name: str, key: Buffer, /) -> BlockCipher:
        """The keyed cipher."""
        ...

    def cbc_chain(self, name: str, key: Buffer, /) -> CbcChain:
        """A CBC decryption under that key, with an IV of zero."""
        ...


class BlockCipher(Protocol):
    """One keyed block cipher on whole blocks, each for itself (ECB). Not for two threads at once."""

    @property
    def block_size(self) -> int:
        """Bytes in one block: 16, or 8 for the old ciphers."""
        ...

    def encrypt(self, data: Buffer) -> bytes:
        """Encrypt whole blocks."""
        ...

    def decrypt(self, data: Buffer) -> bytes:
        """Decrypt whole blocks."""
        ...

    def decrypt_into(self, source: memoryview, target: memoryview) -> None:
        """Decrypt many blocks into ``target``, which is as long as ``source`` and does not overlap it."""
        ...


CbcChain = Callable[[memoryview, memoryview], None]
"""Decrypts blocks from the first into the second, as long but elsewhere, in one CBC chain over all calls whose first
IV is zero."""


def block_cipher(name: str, key: Buffer) -> BlockCipher:
    """The cipher under its kernel name. Raises Unsupported when no provider here has it, DamagedInput for a key of a
    size that it cannot have."""
    return _provider(name, key).block_cipher(name, key)


def cbc_chain(name: str, key: Buffer) -> CbcChain:
    """A CBC decryption of that cipher, for much data; raises like ``block_cipher``."""
    return _provider(name, key).cbc_chain(name, key)


def _provider(name: str, key: Buffer) -> Provider:
    """OpenSSL for AES. For the rest first libgcrypt, whose code for them is an order of magnitude faster."""
    _check_key(name, key)
    for load in (_openssl, _gcrypt) if name == "aes" else (_gcrypt, _openssl):
        provider = load()
        if provider.has_cipher(name, len(key)):
            return provider
    raise _nobody_has(name, 8 * len(key))


def _openssl() -> Provider:
    from luksafe.crypto.providers import openssl

    return openssl


def _gcrypt() -> Provider:
    from luksafe.crypto.providers import gcrypt_ciphers

    return gcrypt_ciphers


def _check_key(name: str, key: Buffer) -> None:
    if name not in KEY_SIZES:
        raise Unsupported(
            f"the cipher {name!r} is not known here",
            hint="Open it with cryptsetup on a kernel that has this cipher; if the header is damaged, see a backup.",
        )
    if len(key) not in KEY_SIZES[name]:
        raise DamagedInput(
            f"{name} takes no key of {8 * len(key)} bits",
            hint="The key size and the cipher do not belong together: compare the header with a backup.",
        )


def _nobody_has(name: str, key_bits: int) -> Unsupported:
    from luksafe.crypto.providers import gcrypt

    if gcrypt.library() is not None:
        return Unsupported(
            f"neither OpenSSL nor libgcrypt has {name} with a key of {key_bits} bits here",
            hint="Install a newer libgcrypt, or open it with cryptsetup: the kernel may have this cipher.",
        )
    return Unsupported(
        f"the cipher {name} needs libgcrypt, which is not installed here or too old",
        hint="Install it (Debian and Ubuntu: libgcrypt20; Fedora: libgcrypt) and run the command again.",
    )
