"""Raw block ciphers: what a provider must offer, and which provider does which cipher."""

from __future__ import annotations

from typing import Protocol, TypeAlias

from luksafe.errors import DamagedInput, Unsupported

Buffer: TypeAlias = bytes | bytearray | memoryview

SPARE_BYTES = 16
"""How much longer than its source a target must be: some libraries ask for room to pad, which they never use here."""

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

    def encrypt_into(self, source: Buffer, target: memoryview) -> None:
        """Encrypt into ``target``, which is SPARE_BYTES longer and may begin at ``source`` itself."""
        ...

    def decrypt_into(self, source: Buffer, target: memoryview) -> None:
        """Decrypt into ``target``, which is SPARE_BYTES longer and may begin at ``source`` itself."""
        ...


def block_cipher(name: str, key: Buffer) -> BlockCipher:
    """The cipher under its kernel name. Raises Unsupported when no provider here has it, DamagedInput for a key of a
    size that it cannot have."""
    sizes = KEY_SIZES.get(name)
    if sizes is None:
        raise Unsupported(
            f"the cipher {name!r} is not known here",
            hint="Open it with cryptsetup on a kernel that has this cipher; if the header is damaged, see a backup.",
        )
    if len(key) not in sizes:
        raise DamagedInput(
            f"{name} takes no key of {8 * len(key)} bits",
            hint="The key size and the cipher do not belong together: compare the header with a backup.",
        )
    return _from_openssl(name, key) or _from_gcrypt(name, key)


def _from_openssl(name: str, key: Buffer) -> BlockCipher | None:
    from luksafe.crypto.providers import openssl

    return openssl.block_cipher(name, key)


def _from_gcrypt(name: str, key: Buffer) -> BlockCipher:
    from luksafe.crypto.providers import gcrypt

    return gcrypt.block_cipher(name, key)
