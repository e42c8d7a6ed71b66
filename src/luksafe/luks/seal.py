"""Into a keyslot: a volume key, split and encrypted under a passphrase; and the digest that proves it."""

from __future__ import annotations

import base64
from dataclasses import replace

from luksafe.crypto.hashes import digest_size
from luksafe.crypto.kdf import KdfLimits, pbkdf2
from luksafe.crypto.sectors import sector_cipher
from luksafe.luks.af import RandomBytes, split_stripes
from luksafe.luks.model import Digest, Json, Keyslot
from luksafe.luks.unlock import derive_area_key
from luksafe.secret import SecretBytes

SALT_BYTES = 32


def seal_keyslot(
    keyslot: Keyslot, passphrase: SecretBytes, volume_key: SecretBytes, random_bytes: RandomBytes
) -> bytes:
    """The bytes of the keyslot's area (whole sectors of key material) that make ``passphrase`` give ``volume_key``.

    The keyslot states every parameter, its salt included. Raises Unsupported for what nothing here knows.
    """
    if keyslot.af is None or keyslot.area is None:
        raise ValueError("a keyslot to be sealed has an AF and an area")
    stripes = split_stripes(volume_key, keyslot.af.stripes, keyslot.af.hash, random_bytes)
    stripes += bytes(-len(stripes) % 512)
    with derive_area_key(keyslot, passphrase, KdfLimits()) as area_key:
        sealed = bytes(sector_cipher(keyslot.area.encryption, area_key).encrypt(stripes, 0))
    stripes[:] = bytes(len(stripes))
    return sealed


def make_digest(
    volume_key: SecretBytes, hash_name: str, iterations: int, random_bytes: RandomBytes, size_bytes: int | None = None
) -> Digest:
    """A fresh digest of a volume key, bound to nothing yet; LUKS1 keeps 20 bytes of it (``size_bytes``)."""
    salt = random_bytes(SALT_BYTES)
    size = size_bytes or digest_size(hash_name)
    made = pbkdf2(hash_name, volume_key, salt, iterations, size)
    return Digest(0, "pbkdf2", (), (), hash_name, iterations, salt, made.reveal())


def digest_to_json(digest: Digest) -> Json:
    """The digest as its JSON object (specification section 3.4)."""
    return {
        "type": digest.type,
        "keyslots": [str(number) for number in digest.keyslots],
        "segments": [str(number) for number in digest.segments],
        "hash": digest.hash,
        "iterations": digest.iterations,
        "salt": base64.b64encode(digest.salt).decode(),
        "digest": base64.b64encode(digest.digest).decode(),
    }


def bind(digest: Digest, keyslots: tuple[int, ...], segments: tuple[int, ...]) -> Digest:
    """The digest, bound to keyslots and segments."""
    return replace(digest, keyslots=keyslots, segments=segments)
