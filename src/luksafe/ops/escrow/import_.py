"""Import: secrets that other tools kept become packets. Proven against a header where one is at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from luksafe.errors import DamagedInput, KeyRejected, LuksafeError, NotFound
from luksafe.escrow.contents import Contents, Made, Secret
from luksafe.escrow.import_.csv_export import read_csv
from luksafe.escrow.import_.detect import Kind, detect
from luksafe.escrow.import_.luksdump import read_luksdump
from luksafe.escrow.import_.model import ImportedSecret
from luksafe.escrow.import_.raw_key import read_raw_key
from luksafe.escrow.recovery_key import read_recovery_key
from luksafe.escrow.volume_key.convert import to_imported
from luksafe.escrow.volume_key.packet import Keys, open_packet
from luksafe.ops.escrow.keeping import KeptPacket, keep, no_proofs, proofs_of
from luksafe.ops.escrow.save import SaveOrder
from luksafe.ops.escrow.sealing import seal_to_each
from luksafe.ops.escrow.volume import ProvenVolume, fresh_packet_id, make_contents, prove_volume, user_name
from luksafe.ops.target import Target, open_backup
from luksafe.ops.workspace import Workspace

MAX_FILE_BYTES = 64 << 20
MOST_FILES = 100_000
State = Literal["proven", "unproven", "refused", "skipped", "stored"]


@dataclass(frozen=True, slots=True)
class About:
    """What a secret is and where it is from, as far as that is known."""

    kind: str = ""
    uuid: str = ""
    host: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one secret, or of a file without any. ``proven``: it opens a header that is at hand."""

    file: str
    state: State
    why: str
    about: About = About()
    contents: Contents | None = field(default=None, repr=False)
    volume: ProvenVolume | None = field(default=None, repr=False)


def files_in(paths: Sequence[Path]) -> Iterator[Path]:
    """The files named, and those in folders, sorted. Raises NotFound, DamagedInput for far too many."""
    count = 0
    for path in paths:
        if not path.exists():
            raise NotFound(f"{path}: no such file or folder")
        for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if each.is_file():
                count += 1
                if count > MOST_FILES:
                    raise DamagedInput(f"there are more than {MOST_FILES} files: import one folder at a time")
                yield each


def read_foreign(path: Path, keys: Keys) -> list[ImportedSecret] | None:
    """The secrets in another tool's file; None where it is of none. Raises KeyRejected, DamagedInput, Unsupported."""
    data = _read(path)
    kind: Kind = detect(data)
    match kind:
        case "volume_key":
            return [to_imported(open_packet(data, keys))]
        case "luksdump":
            return [read_luksdump(data.decode("utf-8-sig"))]
        case "recovery-key":
            secret = read_recovery_key(data.decode("utf-8-sig"))
            return [ImportedSecret("passphrase", secret, "recovery key")]
        case "raw-key":
            return [read_raw_key(data)]
        case "csv":
            return read_csv(data)
    return None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise NotFound(f"{path}: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise DamagedInput(f"{path} has more than {MAX_FILE_BYTES} bytes")
    return data


def match_volume(
    workspace: Workspace, path: Path, secret: ImportedSecret, opens: Target | None, reason: str
) -> Imported:
    """Prove a secret against the header that it is of: the one named, else the current backup of its UUID, or, when it
    says none, those of its host (a volume key: of all volumes)."""
    about = About(secret.kind, secret.uuid, secret.hostname, secret.source)
    candidates = [opens] if opens else list(_candidates(workspace, secret))
    problem = ""
    for target in candidates:
        try:
            volume = _prove(secret, target)
        except LuksafeError as error:
            problem = str(error)
            continue
        digest_or_slot = volume.digest_id if secret.kind == "volume-key" else volume.keyslot
        sealed = Secret(secret.kind, secret.secret, digest_or_slot)
        contents = replace(
            make_contents(workspace, volume, (sealed,), reason=reason), host=secret.hostname or _host(target)
        )
        words = f"it opens {target.description}"
        return Imported(str(path), "proven", words, replace(about, uuid=volume.header.uuid), contents, volume)
    if opens or (candidates and secret.uuid):
        return Imported(str(path), "refused", f"it does not open {candidates[0].description}: {problem}", about)
    contents = _unproven(workspace, secret, reason)
    return Imported(str(path), "unproven", "no header of its volume is at hand", about, contents)


def _prove(secret: ImportedSecret, target: Target) -> ProvenVolume:
    if secret.kind == "volume-key":
        return prove_volume(target, volume_key=secret.secret)
    return prove_volume(target, passphrase=secret.secret)


def _candidates(workspace: Workspace, secret: ImportedSecret) -> Iterator[Target]:
    try:
        with workspace.open_vault() as vault:
            backups = [each for each in vault.backups() if each.is_current]
    except NotFound:
        return
    for backup in backups:
        record = backup.record
        same_host = bool(secret.hostname) and _short(record.host) == _short(secret.hostname)
        same_disk = bool(secret.serial) and record.device.serial == secret.serial
        is_wanted = same_host or same_disk or secret.kind == "volume-key"
        if record.uuid.lower() == secret.uuid.lower() if secret.uuid else is_wanted:
            try:
                target = open_backup(workspace, backup.id)
            except LuksafeError:
                continue
            if target.inspection.header is not None:
                yield target


def _short(host: str) -> str:
    return host.partition(".")[0].lower()


def _host(target: Target) -> str:
    return target.backup.record.host if target.backup else ""


def _unproven(workspace: Workspace, secret: ImportedSecret, reason: str) -> Contents:
    """As much as the other tool knew."""
    return Contents(
        packet_id=fresh_packet_id(workspace),
        volume=secret.parameters(),
        secrets=(Secret(secret.kind, secret.secret, secret.keyslot),),
        made=Made(workspace.now(), user_name(), workspace.tool, reason),
        host=secret.hostname,
        device={"serial": secret.serial} if secret.serial else {},
    )


def seal_imported(workspace: Workspace, imported: Imported, order: SaveOrder) -> list[KeptPacket]:
    """Seal one that was proven or could not be; keep it."""
    if imported.contents is None:
        return []
    sealed = seal_to_each(workspace, imported.contents, order.groups)
    volume = imported.volume
    proofs = proofs_of(workspace, volume.header) if volume else no_proofs
    return keep(workspace, sealed, proofs, volume.facts if volume else None, order.folder)


def explain(path: Path, error: LuksafeError) -> Imported:
    """A file that could not be read, or not opened with what was given."""
    needs_key = isinstance(error, KeyRejected)
    return Imported(
        str(path), "refused" if needs_key else "skipped", f"{error}" + (f" ({error.hint})" if error.hint else "")
    )
