"""What a user has in a file: a header, a packet, a sheet of paper, a share, a key; and the way that it opens."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from luksafe.device.source import open_source
from luksafe.errors import DamagedInput, LuksafeError, NotFound, UsageError
from luksafe.escrow.import_.detect import Kind, detect
from luksafe.luks.inspection import inspect
from luksafe.ops.escrow.found import packets_in_vault, read_packet_file
from luksafe.ops.paper_print import kind_of
from luksafe.ops.rescue.model import Chance, Risk, Step, Way, prove
from luksafe.ops.rescue.other_backups import try_backup
from luksafe.ops.workspace import Workspace
from luksafe.paper.picture import is_scan
from luksafe.paper.scan import read_scans
from luksafe.paper.sheet import SheetKind
from luksafe.secret import SecretBytes

MAX_SMALL_BYTES = 1 << 20
_GET_IN = "Get in with "
_PAPER_FILES = {SheetKind.HEADER: "img", SheetKind.VOLUME_KEY: "key", SheetKind.PASSPHRASE: "passphrase"}


@dataclass(frozen=True, slots=True)
class Offer:
    """A way with what the user has; ``keep`` are the steps that take it into the vault first."""

    way: Way
    keep: tuple[Step, ...] = ()


def way_with(workspace: Workspace, device: str, name: str) -> Offer:
    """The way with what is at the path ``name``, a folder too, or with the backup of the vault of that name.

    Raises NotFound, DamagedInput for what is none of all that, and what reading scans raises.
    """
    path = Path(name)
    if not os.path.lexists(path):
        with workspace.open_vault() as vault:
            return Offer(try_backup(device, vault.resolve(name), "you named it"))
    if path.is_dir():
        return _with_folder(workspace, device, path)
    return _with_sheet(workspace, device, path) if is_scan(path) else _with_file(workspace, device, path)


def _with_folder(workspace: Workspace, device: str, folder: Path) -> Offer:
    """The best of what lies in a folder: photographs of one sheet belong together, files are looked at one by one."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix != ".json")
    if any(is_scan(path) for path in files):
        with suppress(DamagedInput):
            return _with_sheet(workspace, device, folder)
    offers = []
    shares = [path for path in files if _is_share(path)]
    for path in files:
        with suppress(LuksafeError):
            if path not in shares:
                offers.append((_with_file(workspace, device, path), path))
    if not offers and not shares:
        raise DamagedInput(f"{folder}: no header backup, packet, sheet, share or key is in it", code="nothing-there")
    keep = tuple(step for offer, _ in offers for step in offer.keep)
    packets = [
        path for offer, path in offers if offer.way.key == f"file:{path}" and offer.way.title.startswith(_GET_IN)
    ]
    if shares:
        offer = _with_shares(workspace, device, shares, packets)
        return Offer(offer.way, keep)
    return Offer(min((offer.way for offer, _ in offers), key=lambda way: way.chance), keep)


def _with_sheet(workspace: Workspace, device: str, path: Path) -> Offer:
    sheets = [parts for parts in read_scans([path]).sheets.values() if parts.head]
    kinds = {parts.head.kind: parts for parts in sheets if parts.head}
    if not kinds:
        raise DamagedInput(
            f"{path} shows no code of a luksafe sheet",
            code="no-sheet",
            hint="scan it flat with 300 dpi, or type its lines: luksafe paper read --output FILE, then name FILE here",
        )
    if SheetKind.PACKET in kinds:
        return Offer(_apply(device, str(path), f"the sheet in {path}"))
    if SheetKind.SHARE in kinds:
        return _with_shares(workspace, device, [path])
    kind = next(kind for kind in _PAPER_FILES if kind in kinds)
    sheet = kinds[kind].sheet_id
    file = f"sheet-{sheet}.{_PAPER_FILES[kind]}"
    read = Step(
        ("luksafe", "paper", "read", str(path), "--sheet", sheet, "--output", file),
        f"Reads the sheet ({kind.word}) into the new file {file}. The device is not touched.",
    )
    way = {
        SheetKind.HEADER: _try_header,
        SheetKind.VOLUME_KEY: _try_volume_key,
        SheetKind.PASSPHRASE: _try_passphrase,
    }[kind](device, file)
    return Offer(Way(f"sheet:{sheet}", way.title, way.chance, way.risk, f"you have it: {path}", (read, *way.steps)))


def _with_file(workspace: Workspace, device: str, path: Path) -> Offer:
    name = str(path)
    kind, is_share = _look_at(path)
    if is_share:  # before all else: its remarks may have commas, as a table has
        return _with_shares(workspace, device, [path])
    if kind == "packet" or path.suffix == ".json":
        found = read_packet_file(path)
        name = str(found.path or path)
        return Offer(_apply(device, name, name), (Step(("luksafe", "escrow", "import", name), ""),))
    if kind == "recovery-key":
        return Offer(_try_passphrase(device, name))
    if kind == "raw-key":
        return Offer(_try_volume_key(device, name))
    if kind in ("volume_key", "luksdump", "csv"):
        return Offer(_as_packet(device, name))
    with open_source(name) as reader:
        if inspect(reader).format == "none":
            raise DamagedInput(
                f"{path} holds no LUKS header, packet, share or key",
                code="nothing-there",
                hint=f"if it is an image of a whole disk, look for the volume in it: luksafe scan {shlex.quote(name)}",
            )
    return Offer(_try_header(device, name), (Step(("luksafe", "import", name), ""),))


def _look_at(path: Path) -> tuple[Kind, bool]:
    """What the content says that it is; and whether it is a share."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SMALL_BYTES + 1)
    except OSError as problem:
        raise NotFound(f"{path}: {problem.strerror}") from None
    if len(data) > MAX_SMALL_BYTES:
        return "unknown", False
    with SecretBytes(data) as held, suppress(UsageError):
        return detect(data), kind_of(held) is SheetKind.SHARE
    return detect(data), False


def _is_share(path: Path) -> bool:
    try:
        return _look_at(path)[1]
    except NotFound:  # a file that cannot be read hides no other
        return False


def _with_shares(workspace: Workspace, device: str, files: Sequence[Path], packets: Sequence[Path] = ()) -> Offer:
    """The packet that shares open has to be at hand: one that lies beside them, or one of the vault."""
    options = tuple(word for file in files for word in ("--share", str(file)))
    if packets:
        name = str(packets[0])
        return Offer(_apply(device, name, f"{name} and the shares beside it", options))
    split = [found for found in packets_in_vault(workspace) if found.public and found.public.shares]
    if not split:
        raise NotFound(
            "this is a share of a packet's key, and the vault has no packet that was split into shares",
            code="no-packet",
            hint="the packet is needed too: a file, a sheet, a store that is not mounted; name it here first (f)",
        )
    packet = split[0].public.packet_id if split[0].public else split[0].vault_id[:16]
    others = f" (of {len(split)} in the vault that are split)" if len(split) > 1 else ""
    way = _apply(device, packet, f"packet {packet}{others} and your share", options)
    return Offer(Way(f"share:{packet}", way.title, way.chance, way.risk, way.why, way.steps))


def _apply(device: str, packet: str, words: str, options: Sequence[str] = ()) -> Way:
    step = Step(
        ("luksafe", "escrow", "apply", packet, device, *options),
        "Opens the packet and gives the volume a new passphrase, in a free keyslot; where the header is gone, in a new"
        " one round the volume key. Shows what it will do, and asks. The file of a private key: o, then --identity"
        " FILE.",
        writes=True,
    )
    return Way(f"file:{packet}", f"{_GET_IN}{words}", Chance.MAY, Risk.UNDOABLE, "you have it", (step, prove(device)))


def _try_header(device: str, file: str) -> Way:
    first = prove(device, file)
    restore = Step(
        ("luksafe", "restore", file, device),
        "Only when the step before found data: writes the header to the device. Asks for the passphrase, which proves"
        " it, shows the plan, asks for YES, saves what is there now, reads back.",
        writes=True,
    )
    look = Step(
        first.command,
        "Opens the header in the file with its passphrase and looks whether the data on the device decrypt with it."
        " Reads only.",
    )
    steps = (look, restore, prove(device))
    return Way(f"file:{file}", f"Try the header in {file}", Chance.MAY, Risk.UNDOABLE, "you have it", steps)


def _try_passphrase(device: str, file: str) -> Way:
    step = Step(
        ("luksafe", "prove", device, "--data", device, "--key-file", file),
        "Opens it with what is in the file, and looks what the data are. Reads only.",
        proves=True,
    )
    return Way(f"file:{file}", f"Open it with {file}", Chance.MAY, Risk.READS_ONLY, "you have it", (step,))


def _try_volume_key(device: str, file: str) -> Way:
    step = Step(
        ("luksafe", "rebuild", device, "--volume-key-file", file),
        "Makes a new header round the volume key, with a new passphrase of yours. Shows the plan, and asks. What the"
        " old header said and nothing here knows, it asks as options: those that the sheet shows.",
        writes=True,
    )
    title = f"Make a new header round the volume key in {file}"
    return Way(f"file:{file}", title, Chance.MAY, Risk.UNDOABLE, "you have it", (step, prove(device)))


def _as_packet(device: str, file: str) -> Way:
    keep = Step(
        ("luksafe", "escrow", "import", file, "--recipient", "passphrase"),
        "Seals what another program kept into a packet with a passphrase that it asks for, in the vault.",
    )
    title = f"Take what another program kept in {file} into a packet"
    return Way(f"file:{file}", title, Chance.MAY, Risk.READS_ONLY, "you have it", (keep,))
