"""LUKS1 fields that only a passphrase can judge: the salt of a keyslot, and the digest of the volume key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from luksafe.crypto.kdf import KdfLimits, pbkdf2
from luksafe.errors import DamagedInput, LuksafeError, Refused
from luksafe.luks.luks1.binary_header import HEADER_BYTES, BinaryHeader
from luksafe.luks.luks1.metadata import build_header
from luksafe.luks.luks1.validate import DIGEST_BYTES, entry_offset_bytes
from luksafe.luks.repair.effort import Effort
from luksafe.luks.repair.proposal import Evidence, Patch, Proposal
from luksafe.luks.unlock import decrypt_keyslot, derive_area_key, verify_volume_key
from luksafe.reader import Reader
from luksafe.secret import SecretBytes

_MOST_DIGEST_BITS = 8
"""A digest of 160 bits so near to the stored one is the same with flipped bits: chance would need 2 to the 110."""
_MK_DIGEST_OFFSET, _MK_SALT_OFFSET, _MK_ITERATIONS_OFFSET = 112, 132, 164
_MOST_LIKELY_ITERATIONS = 1 << 23
"""Two seconds of a fast machine: cryptsetup's default."""


@dataclass(frozen=True, slots=True)
class _Variant:
    """The header with one bit flipped back: which bytes that changes, and what they are."""

    header: BinaryHeader
    patch: Patch
    text: str


def search_fields(
    reader: Reader, slot: int, passphrase: SecretBytes, limits: KdfLimits, effort: Effort
) -> Proposal | None:
    """The one flipped bit in digest, salts or iteration counts with which keyslot ``slot`` opens; None without one.

    ``reader`` begins with the LUKS1 header, whose other faults are mended already.
    """
    binary = BinaryHeader.parse(reader.read_at(0, HEADER_BYTES))
    try:
        key = _key_of(reader, binary, slot, passphrase, limits)
    except (DamagedInput, Refused):
        key = None
    if key is not None and (proposal := _mend_digest(binary, key, limits)):
        return proposal

    def fits(variant: _Variant) -> bool:
        return key is not None and _fits(variant.header, key, limits)

    def opens(variant: _Variant) -> bool:
        return _opens(reader, variant.header, slot, passphrase, limits)

    of_key, of_slot = "the digest of the volume key", f"the entry of keyslot {slot}"
    for variants, accepts, label in (
        (_digest_salts(binary), fits, of_key),
        (_keyslot_salts(binary, slot), opens, of_slot),
        (_digest_counts(binary), fits, of_key),
        (_keyslot_counts(binary, slot), opens, of_slot),
    ):
        if proposal := _first(list(variants), accepts, label, effort):
            return proposal
    return None


def _first(
    variants: list[_Variant], accepts: Callable[[_Variant], bool], label: str, effort: Effort
) -> Proposal | None:
    for number, variant in enumerate(variants):
        if not effort.goes_on(f"a flipped bit in {label}", number, len(variants)):
            return None
        begun = effort.clock()
        if accepts(variant):
            why = "with it the passphrase gives a volume key that fits the digest"
            return Proposal("keyslot-field-mended", variant.text, why, Evidence.DIGEST, (variant.patch,))
        if number == 0:
            most = (effort.clock() - begun) * len(variants)
            effort.announce(f"a flipped bit in {label}", most / 2, most)
    return None


def _key_of(reader: Reader, binary: BinaryHeader, slot: int, passphrase: SecretBytes, limits: KdfLimits) -> SecretBytes:
    """The key that the keyslot gives with this passphrase, unproven."""
    keyslot = build_header(binary).keyslots[slot]
    with derive_area_key(keyslot, passphrase, limits) as area_key:
        return decrypt_keyslot(reader, keyslot, area_key)


def _fits(binary: BinaryHeader, key: SecretBytes, limits: KdfLimits) -> bool:
    try:
        return verify_volume_key(build_header(binary).digests[0], key, limits)
    except LuksafeError:
        return False


def _opens(reader: Reader, binary: BinaryHeader, slot: int, passphrase: SecretBytes, limits: KdfLimits) -> bool:
    try:
        with _key_of(reader, binary, slot, passphrase, limits) as key:
            return _fits(binary, key, limits)
    except LuksafeError:
        return False


def _mend_digest(binary: BinaryHeader, key: SecretBytes, limits: KdfLimits) -> Proposal | None:
    """The digest itself, when what the key gives is but a few bits away."""
    count = binary.mk_digest_iterations
    if not count:
        return None
    try:
        with pbkdf2(binary.hash_spec, key, binary.mk_digest_salt, count, DIGEST_BYTES, limits) as made:
            right = made.reveal()
    except LuksafeError:
        return None
    bits = (int.from_bytes(right, "big") ^ int.from_bytes(binary.mk_digest, "big")).bit_count()
    if not 0 < bits <= _MOST_DIGEST_BITS:
        return None
    why = f"the passphrase gives a volume key whose digest differs from the stored one in {bits} of 160 bits"
    patch = Patch(_MK_DIGEST_OFFSET, right, "LUKS1 header")
    return Proposal("volume-key-digest-mended", "mend the digest of the volume key", why, Evidence.DIGEST, (patch,))


def _digest_salts(binary: BinaryHeader) -> Iterator[_Variant]:
    for salt in _flips(binary.mk_digest_salt):
        patch = Patch(_MK_SALT_OFFSET, salt, "LUKS1 header")
        yield _Variant(replace(binary, mk_digest_salt=salt), patch, "mend the salt of the volume key's digest")


def _digest_counts(binary: BinaryHeader) -> Iterator[_Variant]:
    for count in _counts(binary.mk_digest_iterations):
        patch = Patch(_MK_ITERATIONS_OFFSET, count.to_bytes(4, "big"), "LUKS1 header")
        text = f"set the iterations of the volume key's digest to {count}"
        yield _Variant(replace(binary, mk_digest_iterations=count), patch, text)


def _keyslot_salts(binary: BinaryHeader, slot: int) -> Iterator[_Variant]:
    entry = binary.keyslots[slot]
    for salt in _flips(entry.salt):
        patch = Patch(entry_offset_bytes(slot, "salt"), salt, "LUKS1 header")
        made = binary.with_keyslot(slot, replace(entry, salt=salt))
        yield _Variant(made, patch, f"mend the salt of keyslot {slot}")


def _keyslot_counts(binary: BinaryHeader, slot: int) -> Iterator[_Variant]:
    entry = binary.keyslots[slot]
    for count in _counts(entry.iterations):
        patch = Patch(entry_offset_bytes(slot, "iterations"), count.to_bytes(4, "big"), "LUKS1 header")
        made = binary.with_keyslot(slot, replace(entry, iterations=count))
        yield _Variant(made, patch, f"set the iterations of keyslot {slot} to {count}")


def _flips(data: bytes) -> Iterator[bytes]:
    for bit in range(8 * len(data)):
        out = bytearray(data)
        out[bit // 8] ^= 1 << bit % 8
        yield bytes(out)


def _counts(stated: int) -> list[int]:
    """Iteration counts one flipped bit away that a keyslot may have, the cheap ones first."""
    counts = (stated ^ (1 << bit) for bit in range(32))
    return sorted(count for count in counts if 0 < count <= _MOST_LIKELY_ITERATIONS)
