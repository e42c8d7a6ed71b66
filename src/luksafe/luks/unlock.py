"""From a passphrase to the volume key: keyslots in cryptsetup's order, each proven by its digest."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from luksafe.crypto.kdf import KdfLimits, argon2, pbkdf2
from luksafe.crypto.kdf_limits import KdfWork
from luksafe.crypto.sectors import sector_cipher
from luksafe.errors import DamagedInput, KeyRejected, LuksafeError, NotFound, Unsupported
from luksafe.luks.af import merge_stripes
from luksafe.luks.model import Area, Digest, Header, Keyslot
from luksafe.luks.weaknesses import is_in_the_clear
from luksafe.reader import Reader
from luksafe.secret import SecretBytes
from luksafe.wall import walled

ARGON2_KINDS: dict[str, Literal["argon2i", "argon2id"]] = {"argon2i": "argon2i", "argon2id": "argon2id"}
MAX_STRIPES = 4000
MAX_KEY_BYTES = 4096
PRIORITY_IGNORE, PRIORITY_NORMAL, PRIORITY_PREFER = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Unlocked:
    """An opened keyslot. ``digest_id`` proves the key; ``is_unbound``: the key decrypts no segment."""

    keyslot: int
    volume_key: SecretBytes
    digest_id: int
    is_unbound: bool = False


def unlock(
    reader: Reader,
    header: Header,
    passphrase: SecretBytes,
    *,
    keyslot: int | None = None,
    digest: Digest | None = None,
    limits: KdfLimits | None = None,
) -> Unlocked:
    """Open a keyslot: the named one, or else the first that opens (one of ``digest``), in cryptsetup's order.

    Raises KeyRejected when none opens (it says how many were tried), NotFound when there is none to try, Unsupported
    when nothing here can try any, Refused when a keyslot asks for more memory or time than ``limits`` allow.
    """
    candidates = list(keyslots_in_order(header, digest)) if keyslot is None else [_named(header, keyslot)]
    if not candidates:
        hint = "a backup made before the keyslots were erased may still have them: 'luksafe list'"
        raise NotFound("the header has no keyslot that a passphrase could open", code="no-keyslots", hint=hint)
    limits = limits or KdfLimits()
    limits.check_total([work for each in candidates if (work := _work_of(header, each, limits))])
    obstacles: list[LuksafeError] = []
    for candidate in candidates:
        try:
            return open_keyslot(reader, header, candidate, passphrase, limits)
        except KeyRejected:
            continue
        except LuksafeError as obstacle:
            obstacles.append(obstacle)
    if len(obstacles) == len(candidates):
        raise obstacles[0]
    raise _rejection(candidates, obstacles)


def _work_of(header: Header, keyslot: Keyslot, limits: KdfLimits) -> KdfWork | None:
    """What trying a keyslot costs at most; None for one that is refused by itself, or cannot be tried at all."""
    kdf, digest = keyslot.kdf, header.digest_of_keyslot(keyslot.id)
    if kdf is None or digest is None:
        return None
    iterations = digest.iterations if digest.type == "pbkdf2" else 0
    try:
        limits.check_pbkdf2(iterations)
        if kdf.type in ARGON2_KINDS:
            limits.check_argon2(kdf.time or 0, kdf.memory_kib or 0)
            return KdfWork(iterations, (kdf.time or 0) * (kdf.memory_kib or 0), kdf.memory_kib or 0)
        limits.check_pbkdf2(kdf.iterations or 0)
    except LuksafeError:
        return None
    return KdfWork(iterations + (kdf.iterations or 0))


def open_digests(
    reader: Reader,
    header: Header,
    passphrase: SecretBytes,
    *,
    keyslot: int | None = None,
    limits: KdfLimits | None = None,
) -> tuple[Unlocked, ...]:
    """Every key of the data that the passphrase gives, the one that ``unlock`` gives first: two while in reencryption.

    With a ``keyslot`` named it is the one in there. Raises as ``unlock`` does when there is none.
    """
    opened = [unlock(reader, header, passphrase, keyslot=keyslot, limits=limits)]
    if keyslot is None:
        for digest in header.digests_in_use:
            if digest.id != opened[0].digest_id:
                with suppress(LuksafeError):
                    opened.append(unlock(reader, header, passphrase, digest=digest, limits=limits))
    return tuple(opened)


def keyslots_in_order(header: Header, digest: Digest | None = None) -> Iterator[Keyslot]:
    """The keyslots that cryptsetup tries when none is named, preferred ones first; only those of ``digest`` with one.

    These are the ones of the default segment; while in reencryption, after them all others that hold a key of the
    volume: the one that will remain may be the smaller part of it, and a decryption leaves none.
    """
    segment = header.default_segment
    first = digest or (header.digest_of_segment(segment.id) if segment else None)
    asked = [first] if first else []
    if digest is None and header.is_in_reencryption:
        asked += [other for other in header.digests_in_use if other is not first]
    for priority in (PRIORITY_PREFER, PRIORITY_NORMAL):
        for each in asked:
            bound = [header.keyslots[number] for number in sorted(each.keyslots) if number in header.keyslots]
            yield from (k for k in bound if k.type == "luks2" and k.priority == priority)


@walled("a keyslot")
def open_keyslot(
    reader: Reader, header: Header, keyslot: Keyslot, passphrase: SecretBytes, limits: KdfLimits
) -> Unlocked:
    """Open this keyslot. Raises KeyRejected when what comes out does not fit its digest."""
    if keyslot.kdf is None or keyslot.af is None or keyslot.area is None:
        raise Unsupported(f"keyslot {keyslot.id} of type {keyslot.type!r} holds no passphrase-protected key")
    digest = header.digest_of_keyslot(keyslot.id)
    if digest is None:
        raise DamagedInput(f"keyslot {keyslot.id} belongs to no digest; its key could not be proven")
    if is_in_the_clear(keyslot) and len(passphrase):
        # without this, any passphrase would open a keyslot that is not encrypted at all
        raise KeyRejected(f"keyslot {keyslot.id} uses the null cipher and opens with an empty passphrase only")
    with derive_area_key(keyslot, passphrase, limits) as area_key:
        volume_key = decrypt_keyslot(reader, keyslot, area_key, header.offset)
    if not verify_volume_key(digest, volume_key, limits):
        volume_key.wipe()
        raise KeyRejected(f"keyslot {keyslot.id} does not open with this key")
    return Unlocked(keyslot.id, volume_key, digest.id, is_unbound=not digest.segments)


def derive_area_key(keyslot: Keyslot, passphrase: SecretBytes, limits: KdfLimits) -> SecretBytes:
    """The key that decrypts a keyslot's area."""
    kdf, area = keyslot.kdf, keyslot.area
    if kdf is None or area is None:
        raise Unsupported(f"keyslot {keyslot.id} has no key derivation")
    size = _bounded(area.key_size, MAX_KEY_BYTES, f"keyslots.{keyslot.id}.area.key_size")
    if kdf.type == "pbkdf2":
        return pbkdf2(kdf.hash or "", passphrase, kdf.salt, kdf.iterations or 0, size, limits)
    if (argon2_kind := ARGON2_KINDS.get(kdf.type)) is not None:
        return argon2(
            argon2_kind,
            passphrase,
            kdf.salt,
            time=kdf.time or 0,
            memory_kib=kdf.memory_kib or 0,
            lanes=kdf.cpus or 0,
            length=size,
            limits=limits,
        )
    raise Unsupported(f"keyslot {keyslot.id} uses key derivation {kdf.type!r}, which nothing here knows")


def decrypt_keyslot(reader: Reader, keyslot: Keyslot, area_key: SecretBytes, volume_offset: int = 0) -> SecretBytes:
    """The key in a keyslot's area, unproven. ``volume_offset``: where in ``reader`` the volume begins, in bytes.

    Raises DamagedInput where the area cannot be read in full.
    """
    af, area = keyslot.af, keyslot.area
    if af is None or area is None:
        raise Unsupported(f"keyslot {keyslot.id} of type {keyslot.type!r} has no AF area")
    key_size = _bounded(keyslot.key_size, MAX_KEY_BYTES, f"keyslots.{keyslot.id}.key_size")
    stripes = _bounded(af.stripes, MAX_STRIPES, f"keyslots.{keyslot.id}.af.stripes")
    material = _read_area(reader, keyslot.id, area, key_size * stripes, volume_offset)
    clear = sector_cipher(area.encryption, area_key).decrypt(material, 0)
    try:
        return merge_stripes(clear, key_size, stripes, af.hash)
    finally:
        clear[:] = bytes(len(clear))


def verify_volume_key(digest: Digest, volume_key: SecretBytes, limits: KdfLimits | None = None) -> bool:
    """Whether the key is the one that the digest was made from (specification section 3.4)."""
    if digest.type != "pbkdf2":
        raise Unsupported(f"digest {digest.id} is of type {digest.type!r}, which nothing here knows")
    if not digest.digest:
        return False
    size = len(digest.digest)
    with pbkdf2(digest.hash, volume_key, digest.salt, digest.iterations, size, limits or KdfLimits()) as made:
        return hmac.compare_digest(made.view, digest.digest)


def _read_area(reader: Reader, keyslot_id: int, area: Area, length: int, volume_offset: int) -> bytes:
    """The encrypted material, whole sectors."""
    whole = -(-length // 512) * 512
    if area.size < length:
        raise DamagedInput(f"the area of keyslot {keyslot_id} has {area.size} bytes, {length} are needed")
    try:
        material = reader.read_at(volume_offset + area.offset, whole)
    except OSError as problem:
        raise DamagedInput(f"the area of keyslot {keyslot_id} cannot be read: {problem.strerror}") from problem
    if len(material) < whole:
        text = f"the device ends inside the area of keyslot {keyslot_id}"
        raise DamagedInput(text, code="keyslot-truncated", hint="use a header backup: 'luksafe list'")
    return material


def _bounded(value: int, most: int, where: str) -> int:
    if not 0 < value <= most:
        raise DamagedInput(f"{where} is {value}, which cannot be right (at most {most})")
    return value


def _named(header: Header, keyslot: int) -> Keyslot:
    if keyslot not in header.keyslots:
        there = ", ".join(str(number) for number in header.keyslots) or "none"
        raise NotFound(f"keyslot {keyslot} is not in use (in use: {there})", code="no-keyslot")
    return header.keyslots[keyslot]


def _rejection(candidates: list[Keyslot], obstacles: list[LuksafeError]) -> KeyRejected:
    kinds = sorted({k.kdf.type for k in candidates if k.kdf})
    tried = len(candidates) - len(obstacles)
    text = f"no keyslot opens with this key: {tried} tried ({', '.join(kinds)})"
    if obstacles:
        text += f"; {len(obstacles)} could not be tried: {obstacles[0]}"
    return KeyRejected(
        text,
        hint="check keyboard layout and caps lock; 'luksafe diagnose' tells a wrong passphrase from a damaged keyslot",
    )
