"""Volume keys in an image of memory: one search, then each volume gets its own key, proven, or none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from luksafe.device.discover import find_luks_devices
from luksafe.device.mappings import find_mapping, list_mappings
from luksafe.errors import KeyRejected, LuksafeError, UsageError
from luksafe.memory.candidates import key_bits_wanted
from luksafe.memory.detect import open_memory
from luksafe.memory.search import find_schedules
from luksafe.ops.rebuild.from_memory import (
    MemoryTarget,
    Progress,
    make_proof,
    mapping_target,
    memory_target,
    prove_candidate,
)
from luksafe.ops.rebuild.known import look
from luksafe.ops.workspace import Workspace
from luksafe.secret import SecretBytes


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A volume and its key, proven; ``key`` is None where none was found, and ``why`` says why, or where it stood."""

    target: MemoryTarget
    key: SecretBytes | None
    why: str
    proven_by: str = ""


@dataclass(frozen=True, slots=True)
class SearchReport:
    """What a search saw: how much memory of what kind, how many key schedules, and the keys."""

    kind: str
    size_bytes: int
    unreadable_bytes: int
    notes: tuple[str, ...]
    schedules: int
    keys: tuple[FoundKey, ...]


def targets_of(
    workspace: Workspace, devices: Sequence[str], mappings: Sequence[str]
) -> tuple[list[MemoryTarget], list[str]]:
    """The volumes whose keys are wanted: those named, else all of this machine; and words on those left out.

    Raises UsageError where none is left.
    """
    if devices or mappings:
        return [*_of_devices(workspace, devices), *_of_mappings(mappings)], []
    found: list[MemoryTarget] = []
    left_out: list[str] = []
    active = [mapping.name for mapping in list_mappings() if mapping.type.startswith("LUKS")]
    devices = [device.path for device in find_luks_devices()]
    for name, make in [(n, _of_mappings) for n in active] + [(d, lambda d: _of_devices(workspace, d)) for d in devices]:
        try:
            found += make([name])
        except LuksafeError as problem:
            left_out.append(f"{name}: {problem}")
    if not found:
        raise UsageError(
            "no volume is known whose key could be looked for", hint="name one: --device DEVICE, or --mapping NAME"
        )
    return found, left_out


def _of_mappings(names: Sequence[str]) -> Iterator[MemoryTarget]:
    for name in names:
        mapping = find_mapping(name)
        yield mapping_target(mapping, mapping.device)


def _of_devices(workspace: Workspace, devices: Sequence[str]) -> Iterator[MemoryTarget]:
    with ExitStack() as stack:
        for device in devices:
            yield memory_target(workspace, stack.enter_context(look(device)))


def find_keys(source: Path, targets: Sequence[MemoryTarget], progress: Progress | None = None) -> SearchReport:
    """Search the image once and try every candidate on every volume. Raises as ``open_memory`` does."""
    wanted: dict[int, str] = {}
    bits: set[int] = set()
    for number, target in enumerate(targets):
        try:
            bits.add(key_bits_wanted(target.key_size_bytes, target.parameters.encryption))
        except LuksafeError as problem:
            wanted[number] = str(problem)
    image = open_memory(source)
    hits = list(find_schedules(image, key_bits=sorted(bits), progress=progress)) if bits else []
    keys = []
    for number, target in enumerate(targets):
        if number in wanted:
            keys.append(FoundKey(target, None, wanted[number]))
            continue
        try:
            proof = make_proof(target.parameters, target.samples, target.digests)
            key, why = prove_candidate(hits, target.key_size_bytes, target.parameters, proof, source)
        except KeyRejected as problem:
            keys.append(FoundKey(target, None, str(problem)))
            continue
        keys.append(FoundKey(target, key, why, "the active mapping" if target.samples else "a digest"))
    count = len(hits)
    for hit in hits:
        hit.key.wipe()
    return SearchReport(image.kind, image.size_bytes, image.unreadable_bytes, image.notes, count, tuple(keys))
