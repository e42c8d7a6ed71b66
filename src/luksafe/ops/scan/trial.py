"""A guess tested with a key: does it open the header, and do the data that should follow decrypt to sense?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from luksafe.crypto.kdf import KdfLimits
from luksafe.errors import KeyRejected, LuksafeError
from luksafe.luks.model import Header
from luksafe.luks.unlock import unlock, verify_volume_key
from luksafe.ops.proof import DataProof, examine_data
from luksafe.ops.scan.model import FoundVolume, LostPartition, Remains
from luksafe.reader import Reader, SliceReader
from luksafe.secret import SecretBytes


@dataclass(frozen=True)
class ScanKey:
    """A passphrase or a volume key, and what the key derivation may cost."""

    passphrase: SecretBytes | None = None
    volume_key: SecretBytes | None = None
    keyslot: int | None = None
    limits: KdfLimits = field(default_factory=KdfLimits)


def try_guess(
    guess: LostPartition, reader: Reader, volumes: Iterable[FoundVolume], remains: Iterable[Remains], key: ScanKey
) -> LostPartition:
    """The guess with the result of the test. Another key is no proof against it; data that are noise are."""
    header, source = _header_of(guess, reader, volumes, remains)
    try:
        proof = _prove(reader, guess, source, header, key)
    except KeyRejected:
        return replace(guess, opened=False, data="the key does not open this header")
    except (LuksafeError, OSError) as problem:
        return replace(guess, data=str(problem))
    if not proof.checked:
        return replace(guess, opened=True, data=proof.why)
    sure = guess.sure if proof.makes_sense is None else proof.makes_sense
    found = proof.found if proof.makes_sense is not False else proof.why
    return replace(guess, opened=True, sure=sure, data=found)


def is_at_home(volume: FoundVolume, reader: Reader, key: ScanKey) -> bool:
    """Whether the key opens the header and the data behind it decrypt to sense: then it is the volume itself, whatever
    lies round it."""
    header = volume.header
    fits = volume.is_contiguous and volume.is_usable and not (volume.is_packed or volume.is_taken_over)
    if header is None or not fits or volume.offset < 0 or header.data_offset == 0:
        return False
    rest = LostPartition(
        volume.file, volume.offset, reader.size_bytes - volume.offset, volume.uuid, False, False, "", ""
    )
    try:
        return _prove(reader, rest, reader, header, key).makes_sense is True
    except (LuksafeError, OSError):
        return False


def _header_of(
    guess: LostPartition, reader: Reader, volumes: Iterable[FoundVolume], remains: Iterable[Remains]
) -> tuple[Header, Reader]:
    for volume in volumes:
        if volume.offset == guess.start and volume.uuid == guess.uuid and volume.header and volume.may_hold_data:
            return volume.header, reader
    found = next(r for r in remains if r.start == guess.start and r.uuid == guess.uuid)
    return found.known.header, found.known.reader


def _prove(reader: Reader, guess: LostPartition, source: Reader, header: Header, key: ScanKey) -> DataProof:
    if key.volume_key is not None:
        fits = (d.id for d in header.digests.values() if verify_volume_key(d, key.volume_key, key.limits))
        digest_id = next(fits, None)
        if digest_id is None:
            raise KeyRejected("this is not the volume key")
        volume_key = key.volume_key
    else:
        opened = unlock(source, header, key.passphrase or SecretBytes(), keyslot=key.keyslot, limits=key.limits)
        digest_id, volume_key = opened.digest_id, opened.volume_key
    return examine_data(SliceReader(reader, guess.start, guess.length), header, volume_key, digest_id)
