"""Which library does which block cipher."""

from __future__ import annotations

from typing import Protocol

from luksafe.crypto.block_cipher import BlockCipher, Buffer, CbcChain
from luksafe.errors import DamagedInput, Unsupported

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
