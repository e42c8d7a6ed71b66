"""The volume key from an image of memory. Only a key that is proven leaves this module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from luksafe.errors import KeyRejected
from luksafe.luks.create import Parameters
from luksafe.luks.model import Digest
from luksafe.memory.candidates import candidate_keys, key_bits_wanted
from luksafe.memory.detect import open_memory
from luksafe.memory.search import ScheduleHit, find_schedules
from luksafe.memory.verify import Proof, Sample, data_proof, digest_proof, first_proven
from luksafe.secret import SecretBytes

Progress = Callable[[int, int], None]


def find_key_in_memory(
    source: Path,
    key_size_bytes: int,
    parameters: Parameters,
    samples: Sequence[Sample],
    digests: Sequence[Digest],
    progress: Progress | None = None,
) -> tuple[SecretBytes, str]:
    """The key of this volume in the memory image, and where it stood; proven by samples of a mapping, or by a digest.

    Raises KeyRejected where no key of the image is proven; Unsupported and others as ``open_memory`` does.
    """
    bits = key_bits_wanted(key_size_bytes, parameters.encryption)
    proof = make_proof(parameters, samples, digests)
    hits = list(find_schedules(open_memory(source), key_bits=[bits], progress=progress))
    return prove_candidate(hits, key_size_bytes, parameters, proof, source)


def make_proof(parameters: Parameters, samples: Sequence[Sample], digests: Sequence[Digest]) -> Proof:
    """By the mapping where there are samples of one: it is quick. Else by digests."""
    if samples:
        return data_proof(samples, parameters.encryption, sector_size=parameters.sector_size)
    return digest_proof(digests)


def prove_candidate(
    hits: Sequence[ScheduleHit], key_size_bytes: int, parameters: Parameters, proof: Proof, source: Path
) -> tuple[SecretBytes, str]:
    """The candidate that is proven. Raises KeyRejected when none is."""
    proven = first_proven(candidate_keys(hits, key_size_bytes, parameters.encryption), proof)
    if proven is None:
        raise KeyRejected(
            f"{source} holds {len(hits)} key schedules of this length, and none of them is the key of this volume",
            code="key-not-found",
            hint="the volume must be open when the memory is read; AES alone can be found so",
        )
    return proven.key, proven.why
