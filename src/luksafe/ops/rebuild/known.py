"""A volume key with everything that is known of its volume, and what proves the key. Nothing is written here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Literal, Self

from luksafe.crypto.kdf import KdfLimits
from luksafe.device.identity import DeviceFacts, describe
from luksafe.device.lock import metadata_lock
from luksafe.device.mappings import Mapping
from luksafe.device.source import open_source
from luksafe.device.usage import Use, find_uses
from luksafe.errors import KeyRejected, LuksafeError, Refused, UsageError
from luksafe.luks.create import Parameters
from luksafe.luks.inspection import Inspection, inspect
from luksafe.luks.model import Digest
from luksafe.luks.unlock import verify_volume_key
from luksafe.ops.container import require_bare
from luksafe.ops.rebuild.bases import Base, FoundHeader, choose_base, vault_headers
from luksafe.ops.rebuild.mapped import agreement, mapping_over, single_table
from luksafe.ops.record import uuid_of
from luksafe.ops.same_device import DeviceMatch
from luksafe.ops.workspace import Workspace
from luksafe.probe.recognise import recognise
from luksafe.probe.recognised import Kind, Recognised
from luksafe.reader import Reader
from luksafe.secret import SecretBytes
from luksafe.wall import ParserStopped

MAX_SEQID = (1 << 64) - 1

ProofKind = Literal["digest", "mapping", "canary"]


@dataclass(frozen=True, slots=True)
class KeyProof:
    """Something that proves the volume key, and a sentence on it."""

    by: ProofKind
    text: str


@dataclass(frozen=True, slots=True)
class Volume:
    """A device as it is now, its header destroyed perhaps; ``mapping`` is the active one directly on it.

    ``unread`` says what no parser could tell of it.
    """

    device: str
    facts: DeviceFacts
    reader: Reader
    inspection: Inspection
    uses: tuple[Use, ...]
    signatures: tuple[Recognised, ...]
    mapping: Mapping | None
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where the key is from, in words, and what its source says: parameters (or the UUID alone), headers, proofs.

    ``device`` says whether the device at hand is the one that the source is of, where the source knows its own.
    """

    key: SecretBytes
    origin: str
    parameters: Parameters | None = None
    uuid: str = ""
    headers: tuple[FoundHeader, ...] = ()
    proofs: tuple[KeyProof, ...] = ()
    device: DeviceMatch | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A volume key, the parameters of its volume, the header that is extended if there is one, what proves the key.

    ``doubt`` says why this may not be the device of that volume; only the data can tell then.
    Leaving ``with`` wipes the key.
    """

    key: SecretBytes
    parameters: Parameters
    origin: str
    base: Base | None = None
    proofs: tuple[KeyProof, ...] = ()
    notes: tuple[str, ...] = field(default=())
    least_seqid: int = 1
    doubt: str = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.key.wipe()


@contextmanager
def look(device: str) -> Iterator[Volume]:
    """Open a device read-only and see what is on it and over it."""
    facts = describe(device)
    with open_source(device) as reader:
        with metadata_lock(device):
            inspection = inspect(reader)
        stopped = [finding.text for finding in inspection.all_findings if finding.code == ParserStopped.code]
        seen = recognise(reader, stopped=lambda why: stopped.append(str(why)))
        foreign = tuple(r for r in seen if r.name != "crypto_LUKS" and r.kind is not Kind.BOOT_CODE)
        require_bare(reader)
        uses, unread = tuple(find_uses(device)), tuple(dict.fromkeys(stopped))
        yield Volume(device, facts, reader, inspection, uses, foreign, mapping_over(device), unread)


def gather(workspace: Workspace, volume: Volume, source: KeySource, limits: KdfLimits | None = None) -> Known:
    """Find what else is known of the volume and prove the key by it.

    Raises UsageError when nothing says what the parameters are; KeyRejected, Refused where something disproves the key.
    """
    stated_uuid = source.parameters.uuid if source.parameters else source.uuid
    headers = known_headers(workspace, volume, stated_uuid, source.headers)
    base, notes = choose_base(headers, source.key, source.parameters, limits)
    parameters = source.parameters or (base.parameters if base else None)
    if parameters is None:
        raise _no_parameters(volume, headers, notes)
    proofs = list(source.proofs)
    if base:
        proofs.append(KeyProof("digest", f"the digest in {base.found.name} proves the volume key"))
    if _is_disproven(parameters.digest, source.key, limits):
        raise KeyRejected("the digest that comes with the parameters does not prove this volume key", code="wrong-key")
    matches = [match for match in (source.device, base.found.device if base else None) if match]
    proven_by_mapping = prove_by_mapping(volume, parameters, source.key)
    if proven_by_mapping:
        proofs.append(proven_by_mapping)
    return Known(
        key=source.key,
        parameters=_without_foreign_digest(parameters),
        origin=source.origin,
        base=base,
        proofs=tuple(proofs),
        notes=(*notes, *(match.text for match in matches if match.is_other)),
        least_seqid=_next_seqid(headers, parameters.uuid),
        doubt="" if any(match.is_same for match in matches) else "; ".join(match.text for match in matches),
    )


def prove_by_mapping(volume: Volume, parameters: Parameters, key: SecretBytes) -> KeyProof | None:
    """The proof by the active mapping; None when there is none that can be read. Raises Refused when it disproves."""
    mapping = volume.mapping
    if mapping is None:
        return None
    try:
        single_table(mapping)
    except LuksafeError:
        return None
    found = agreement(mapping, volume.device, parameters, key)
    if not found.compared:
        return None
    if not found.is_proof:
        raise Refused(
            f"this key with these parameters is not that of {mapping.name}: {found.equal} of {found.compared} sectors "
            f"of {volume.device} decrypt to what the mapping shows",
            code="wrong-pair",
            hint="nothing was written; check the device, the key and the parameters (luksafe mappings)",
        )
    words = f"{found.equal} of {found.compared} sectors of {volume.device} decrypt to what {mapping.name} shows"
    return KeyProof("mapping", words)


def known_headers(
    workspace: Workspace, volume: Volume, uuid: str = "", given: Sequence[FoundHeader] = ()
) -> list[FoundHeader]:
    """The device's own header first: it is the latest. Then ``given``, then the current backups."""
    own = []
    if volume.inspection.header:
        match = DeviceMatch("its own header is on it", is_same=True)
        own.append(FoundHeader(volume.reader, volume.inspection, f"the header on {volume.device}", match))
    uuids = {uuid or uuid_of(volume.inspection)}
    if volume.mapping:
        uuids.add(volume.mapping.luks_uuid)
    return [*own, *given, *vault_headers(workspace, volume.facts, uuids)]


def _no_parameters(volume: Volume, headers: Sequence[FoundHeader], notes: Sequence[str]) -> LuksafeError:
    state_them = "if the parameters are known, state them: --type, --uuid, --cipher, --data-offset"
    asked = [each.name for each in headers if (h := each.inspection.header) and not h.is_in_reencryption]
    if asked:
        words = f"this is not the volume key of what is known of {volume.device}: {', '.join(asked)}"
        return KeyRejected(words, code="wrong-key", hint=state_them)
    if headers:
        return UsageError(f"nothing tells the parameters of {volume.device}: {'; '.join(notes)}", hint=state_them)
    return UsageError(
        f"no header of {volume.device} is left, and no backup of it is in the vault: its parameters are not known",
        hint="state them: --type luks2 --uuid UUID --cipher aes-xts-plain64 --data-offset BYTES --sector-size 512",
    )


def _is_disproven(digest: Digest | None, key: SecretBytes, limits: KdfLimits | None) -> bool:
    return digest is not None and not verify_volume_key(digest, key, limits)


def _without_foreign_digest(parameters: Parameters) -> Parameters:
    """LUKS1 keeps 20 bytes of a digest made with its hash; one of another form is made anew."""
    digest = parameters.digest
    if digest and parameters.format == "luks1" and (len(digest.digest) != 20 or digest.hash != parameters.hash):
        return replace(parameters, digest=None)
    return parameters


def _next_seqid(headers: Sequence[FoundHeader], uuid: str) -> int:
    """Above every sequence id of this volume that is known, so that the new header is the newest."""
    copies = (copy for each in headers for copy in each.inspection.copies)
    latest = max((copy.seqid or 0 for copy in copies if copy.uuid == uuid), default=0)
    return min(latest + 1, MAX_SEQID)
