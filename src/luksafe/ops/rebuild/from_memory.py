"""The volume key from an image of memory. Only a key that is proven leaves this module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from luksafe.device.mappings import Mapping
from luksafe.errors import KeyRejected, UsageError
from luksafe.luks.create import Parameters
from luksafe.luks.model import Digest, Header
from luksafe.memory.candidates import candidate_keys, key_bits_wanted
from luksafe.memory.detect import open_memory
from luksafe.memory.search import ScheduleHit, find_schedules
from luksafe.memory.verify import Proof, Sample, data_proof, digest_proof, first_proven
from luksafe.ops.rebuild.known import KeySource, Volume, known_headers
from luksafe.ops.rebuild.mapped import parameters_of, read_samples, single_table
from luksafe.ops.workspace import Workspace
from luksafe.secret import SecretBytes

Progress = Callable[[int, int], None]


def key_of_memory(
    workspace: Workspace,
    volume: Volume,
    source: Path,
    stated: Parameters | None,
    uuid: str = "",
    progress: Progress | None = None,
) -> KeySource:
    """The key of the device's volume in an image of memory, proven by the mapping over it or by a digest.

    Parameters are those of the mapping, of a header that is left, of a backup, or as stated. Raises KeyRejected,
    UsageError where there is nothing to prove a key by.
    """
    target = memory_target(workspace, volume, stated, uuid)
    key, why = find_key_in_memory(
        source, target.key_size_bytes, target.parameters, target.samples, target.digests, progress
    )
    return KeySource(key, f"{source} ({why})", stated or target.parameters)


@dataclass(frozen=True, slots=True)
class MemoryTarget:
    """What to look for: the size of the key, what the data are encrypted with, and what proves the key."""

    name: str
    parameters: Parameters
    key_size_bytes: int
    samples: tuple[Sample, ...] = ()
    digests: tuple[Digest, ...] = ()


def memory_target(
    workspace: Workspace, volume: Volume, stated: Parameters | None = None, uuid: str = ""
) -> MemoryTarget:
    """What is known of the device's volume: by its mapping, else by headers. Raises UsageError where nothing is."""
    if volume.mapping is not None and not volume.mapping.is_suspended and volume.mapping.type.startswith("LUKS"):
        return mapping_target(volume.mapping, volume.device)
    headers = [h for h in known_headers(workspace, volume, stated.uuid if stated else uuid) if h.inspection.header]
    found = [h.inspection.require_header() for h in headers if h.inspection.require_header().volume_key_size]
    digests = [d for header in found for d in _digests(header)]
    if not digests:
        raise UsageError(
            f"nothing is known of {volume.device} that could prove a key: no header, no backup, no active mapping",
            hint="import a backup of its header first: luksafe import FILE",
        )
    parameters = stated or Parameters.from_header(found[0])
    return MemoryTarget(volume.device, parameters, found[0].volume_key_size, digests=tuple(digests))


def mapping_target(mapping: Mapping, device: str) -> MemoryTarget:
    """The key of an active mapping, to be proven by what it shows."""
    parameters = parameters_of(mapping)
    samples = read_samples(mapping, device, parameters.data_offset, parameters.iv_tweak)
    return MemoryTarget(mapping.name, parameters, single_table(mapping).key.size_bytes, tuple(samples))


def _digests(header: Header) -> Iterator[Digest]:
    segment = header.default_segment
    digest = header.digest_of_segment(segment.id) if segment else None
    if digest is not None:
        yield digest


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
