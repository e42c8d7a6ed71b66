"""From key schedules to volume keys that are worth a try, the likely ones first.

XTS has two keys, and the volume key is both: the data key, then the tweak key. The aesni drivers keep their schedules
in one context, the tweak key's first and the data key's 496 bytes later; aes-generic allocates them apart, close by.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from luksafe.crypto.spec import CipherSpec
from luksafe.errors import Unsupported
from luksafe.memory.schedule import KEY_BITS
from luksafe.memory.search import ScheduleHit
from luksafe.secret import SecretBytes

AESNI_DISTANCE_BYTES = 496

_SINGLE_KEY_MODES = frozenset({"cbc", "ctr", "ecb", "pcbc"})
_HINT = "Copy the data out of the open mapping now, or add a keyslot while the header still works."


@dataclass(frozen=True, slots=True)
class Candidate:
    """A volume key to try, unproven, and where it comes from. Who takes it wipes it."""

    key: SecretBytes
    why: str


def key_bits_wanted(key_size_bytes: int, encryption: str) -> int:
    """The length of the AES keys that make up such a volume key. Raises ``Unsupported`` where they cannot be found."""
    spec = CipherSpec.parse(encryption)
    if spec.cipher != "aes":
        raise Unsupported(f"keys of {spec.cipher} cannot be told from other memory, only those of AES", hint=_HINT)
    if spec.chain_mode not in _SINGLE_KEY_MODES | {"xts"} or spec.key_count != 1:
        raise Unsupported(f"{encryption} uses more than AES keys: the rest of its key cannot be found", hint=_HINT)
    bits = key_size_bytes * 4 if spec.chain_mode == "xts" else key_size_bytes * 8
    if bits not in KEY_BITS:
        raise Unsupported(
            f"a volume key of {key_size_bytes} bytes for {encryption} holds more than AES keys "
            "(with integrity, the key of the HMAC): the rest cannot be found",
            hint=_HINT,
        )
    return bits


def candidate_keys(hits: Iterable[ScheduleHit], key_size_bytes: int, encryption: str) -> Iterator[Candidate]:
    """Volume keys of this size for ``encryption`` (dm-crypt's spelling), each once. Raises ``Unsupported``.

    XTS: pairs in aesni's layout first, then all pairs by how near they are to each other. There may be very many.
    """
    bits = key_bits_wanted(key_size_bytes, encryption)
    fitting = sorted((hit for hit in hits if hit.key_bits == bits), key=lambda hit: hit.address)
    if CipherSpec.parse(encryption).chain_mode == "xts":
        return _pairs(fitting)
    return _singles(fitting)


def _singles(hits: list[ScheduleHit]) -> Iterator[Candidate]:
    seen: set[bytes] = set()
    for hit in hits:
        if (name := _fingerprint(hit)) not in seen:
            seen.add(name)
            yield Candidate(SecretBytes(hit.key.view), f"a key schedule at {hit.address:#x}")


def _pairs(hits: list[ScheduleHit]) -> Iterator[Candidate]:
    seen: set[tuple[bytes, bytes]] = set()
    for data, tweak in _aesni_pairs(hits):
        yield from _pair(data, tweak, "an aesni context", seen)
    for low, high in _by_distance(hits):
        for data, tweak in ((high, low), (low, high)):
            yield from _pair(data, tweak, "two key schedules", seen)


def _pair(data: ScheduleHit, tweak: ScheduleHit, what: str, seen: set[tuple[bytes, bytes]]) -> Iterator[Candidate]:
    name = (_fingerprint(data), _fingerprint(tweak))
    if name not in seen:
        seen.add(name)
        key = SecretBytes.take(bytearray(data.key.view) + bytearray(tweak.key.view))
        yield Candidate(key, f"{what}: data key at {data.address:#x}, tweak key at {tweak.address:#x}")


def _aesni_pairs(hits: list[ScheduleHit]) -> Iterator[tuple[ScheduleHit, ScheduleHit]]:
    """Data and tweak key of everything that looks like a context of the aesni drivers."""
    by_address = {hit.address: hit for hit in hits}
    for tweak in hits:
        data = by_address.get(tweak.address + AESNI_DISTANCE_BYTES)
        if data:
            yield data, tweak


def _by_distance(hits: list[ScheduleHit]) -> Iterator[tuple[ScheduleHit, ScheduleHit]]:
    """All pairs of different places, the nearest first, made one after the other."""
    heap = [(b.address - a.address, n, n + 1) for n, (a, b) in enumerate(pairwise(hits))]
    heapq.heapify(heap)
    while heap:
        _, first, second = heap[0]
        yield hits[first], hits[second]
        if second + 1 < len(hits):
            heapq.heapreplace(heap, (hits[second + 1].address - hits[first].address, first, second + 1))
        else:
            heapq.heappop(heap)


def _fingerprint(hit: ScheduleHit) -> bytes:
    return hashlib.sha256(hit.key.view).digest()
