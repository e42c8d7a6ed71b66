"""A keyslot that its passphrase does not open any more: the one flipped bit is searched for, on all cores."""

from __future__ import annotations

import multiprocessing
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.pool import IMapIterator, Pool

from luksafe.crypto.kdf import KdfLimits
from luksafe.crypto.sectors import sector_cipher
from luksafe.errors import DamagedInput, KeyRejected, NotFound
from luksafe.luks.key_material import may_be_material
from luksafe.luks.model import Header, Keyslot
from luksafe.luks.repair.effort import Effort
from luksafe.luks.repair.keyslot_search import SECTOR_BITS, SECTOR_BYTES, Judge, KeyslotSearch, digest_judge
from luksafe.luks.repair.luks1_key_fields import search_fields
from luksafe.luks.repair.proposal import Evidence, Outcome, Patch, Proposal
from luksafe.luks.unlock import derive_area_key, open_keyslot
from luksafe.reader import Reader
from luksafe.secret import SecretBytes
from luksafe.view.process import count_workers

_SLOW_DIGEST_SECONDS = 0.0002
"""Asking the data takes about as long."""
_SAMPLE_BYTES = 4096
"""Filesystems, swap and LVM have runs of one byte so near to the start of the data."""
_RUNS = (bytes(16), b"\xff" * 16)
_CHEAP_SECONDS = 60.0
_FIELD_VARIANTS = 300
"""How many salts and counts of a LUKS1 keyslot are tried, each as dear as an unlocking."""
_MEASURE_SECONDS = 1.0
_POLL_SECONDS = 0.2

_search: KeyslotSearch | None = None
"""Inherited by the forked workers, so that no key goes through a pipe."""


def repair_keyslot(
    reader: Reader,
    header: Header,
    slot: int,
    passphrase: SecretBytes,
    limits: KdfLimits,
    effort: Effort,
    data: Reader | None = None,
) -> Outcome:
    """A proposal with which the passphrase opens the keyslot, or what stands against it; nothing when it does open.

    ``data``: the reader of the encrypted data, when it is at hand. Raises NotFound for a keyslot that is not in use.
    """
    keyslot = header.keyslots.get(slot)
    if keyslot is None:
        there = ", ".join(map(str, header.keyslots)) or "none"
        raise NotFound(f"keyslot {slot} is not in use (in use: {there})", code="no-keyslot")
    begun = time.perf_counter()
    if _opens(reader, header, keyslot, passphrase, limits):
        return Outcome()
    each = time.perf_counter() - begun

    def of_fields() -> Proposal | None:
        return search_fields(reader, slot, passphrase, limits, effort) if header.format == "luks1" else None

    def of_area() -> Proposal | None:
        return _search_area(reader, header, keyslot, passphrase, limits, effort, data)

    # the area is where nearly all bits are; the few of the header come first where that costs next to nothing
    searches = (of_fields, of_area) if each * _FIELD_VARIANTS <= _CHEAP_SECONDS else (of_area, of_fields)
    proposal = next((found for search in searches if (found := search()) is not None), None)
    if proposal is not None:
        return Outcome((proposal,))
    text = f"keyslot {slot}: no single flipped bit explains that this passphrase does not open it"
    if effort.ran_out:
        text += f", as far as the search came in {effort.limit_seconds:.0f} s (--time gives it longer)"
    helps = ("check the passphrase on another keyboard layout", "a header backup has the keyslot: luksafe list")
    return Outcome(left=(text,), helps=helps)


def _opens(reader: Reader, header: Header, keyslot: Keyslot, passphrase: SecretBytes, limits: KdfLimits) -> bool:
    try:
        open_keyslot(reader, header, keyslot, passphrase, limits).volume_key.wipe()
    except (KeyRejected, DamagedInput):
        return False
    return True


def _search_area(
    reader: Reader,
    header: Header,
    keyslot: Keyslot,
    passphrase: SecretBytes,
    limits: KdfLimits,
    effort: Effort,
    data: Reader | None,
) -> Proposal | None:
    digest = header.digest_of_keyslot(keyslot.id)
    if digest is None or keyslot.area is None:
        raise DamagedInput(f"keyslot {keyslot.id} belongs to no digest; its key could not be proven")
    certain = digest_judge(digest, limits)
    with derive_area_key(keyslot, passphrase, limits) as area_key:
        for judge in _judges(certain, header, keyslot, data):
            search = KeyslotSearch(reader, keyslot, area_key, judge)
            found = _search_on_all_cores(search, effort)
            if found is not None:
                number, sector = found
                patch = Patch(keyslot.area.offset + number * SECTOR_BYTES, sector, f"keyslot {keyslot.id} area")
                text = f"flip one bit back in sector {number} of the area of keyslot {keyslot.id}"
                why = "with it the passphrase gives a volume key that fits the digest"
                return Proposal("keyslot-bit-mended", text, why, Evidence.DIGEST, (patch,))
    return None


def _judges(certain: Judge, header: Header, keyslot: Keyslot, data: Reader | None) -> Iterator[Judge]:
    """The digest; where it is slow, first only for keys under which the data decrypt to something with runs in it."""
    begun = time.perf_counter()
    certain(SecretBytes(bytes(keyslot.key_size)))
    if time.perf_counter() - begun > _SLOW_DIGEST_SECONDS and data is not None:
        sensible = _data_judge(header, keyslot, data)
        if sensible is not None:
            yield lambda key: sensible(key) and certain(key)
    yield certain


def _data_judge(header: Header, keyslot: Keyslot, data: Reader) -> Judge | None:
    """Whether the data under a key hold a block of one repeated byte: noise never does. None where nobody can try."""
    segment = header.default_segment
    digest = header.digest_of_keyslot(keyslot.id)
    if (
        segment is None
        or segment.type != "crypt"
        or segment.integrity
        or not digest
        or segment.id not in digest.segments
    ):
        return None
    sample = data.read_at(segment.offset, _SAMPLE_BYTES)
    if len(sample) < _SAMPLE_BYTES or not may_be_material(sample):
        return None

    def makes_sense(key: SecretBytes) -> bool:
        cipher = sector_cipher(segment.encryption, key, sector_size=segment.sector_size)
        clear = cipher.decrypt(sample, segment.iv_tweak)
        return any(run in clear for run in _RUNS)

    return makes_sense


def _search_on_all_cores(search: KeyslotSearch, effort: Effort) -> tuple[int, bytes] | None:
    """Number and bytes of the sector that must be changed, or None."""
    workers, label = count_workers(), "one flipped bit in the keyslot"
    with _pool(search, workers) as pool:
        seconds = _measure(pool, search, workers)
        half = sum(seconds[sector] for sector in search.sectors[: len(seconds) // 2])
        done, total = 0.0, sum(seconds.values())
        effort.announce(label, half, total)
        results = pool.imap_unordered(_try_sector, search.sectors)
        while effort.goes_on(label, int(1000 * done), int(1000 * total)):
            try:
                number, sector = _next(results)
            except multiprocessing.TimeoutError:
                continue
            except StopIteration:
                return None
            if sector:
                return number, sector
            done += seconds[number]
    return None


def _measure(pool: Pool, search: KeyslotSearch, workers: int) -> dict[int, float]:
    """How long each sector takes all workers: measured on the cheapest and the dearest, with all of them at work."""
    order = search.sectors
    cheap, dear = (sum(pool.map(_time_bits, [sector] * workers, 1)) / workers for sector in (order[0], order[-1]))
    return {n: SECTOR_BITS / workers * (cheap + (dear - cheap) * search.work(n)) for n in order}


def _next(results: IMapIterator[tuple[int, bytes]]) -> tuple[int, bytes]:
    return results.next(timeout=_POLL_SECONDS)


@contextmanager
def _pool(search: KeyslotSearch, workers: int) -> Iterator[Pool]:
    global _search  # noqa: PLW0603  # how forked workers get what may not be pickled
    _search = search
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # other threads hold no lock that a worker needs
            pool = multiprocessing.get_context("fork").Pool(workers)
        with pool:
            yield pool
    finally:
        _search = None


def _time_bits(number: int) -> float:
    """In a worker: the seconds that a bit of the sector takes."""
    return _search.seconds_per_bit(number, _MEASURE_SECONDS) if _search else 0.0


def _try_sector(number: int) -> tuple[int, bytes]:
    """In a worker: the mended sector, or nothing."""
    found = _search.try_sector(number) if _search else None
    if found is None:
        return number, b""
    found.volume_key.wipe()
    return number, found.sector
