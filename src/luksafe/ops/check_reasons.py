"""What is wrong with a device and its header, as reasons: lost, replaced, damaged, changed since the backup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from luksafe.device.identity import DeviceFacts
from luksafe.luks.finding import Severity
from luksafe.ops.check_match import Match
from luksafe.ops.check_report import Reason
from luksafe.ops.contradiction import Contradicted
from luksafe.ops.diagnosis.elsewhere import find_volumes_elsewhere
from luksafe.ops.diagnosis.traces import find_header_traces
from luksafe.ops.interruption import interruption_words
from luksafe.ops.keyslot_health import destroyed_keyslots, destroyed_words
from luksafe.ops.mapping_header import open_without_header, opened_apart
from luksafe.ops.recorded_device import tie_of
from luksafe.ops.target import Target
from luksafe.ops.workspace import Workspace
from luksafe.probe.container import recognise_container
from luksafe.probe.recognise import recognise
from luksafe.vault.lineage import OwnLineage

TRACED_BYTES = 16 << 20


def lost_header(device: str) -> Iterator[Reason]:
    """That a mapping is open over a header that is lost: the moment to rebuild it."""
    lost = open_without_header(device)
    if lost is not None:
        yield Reason("open-without-header", lost.text, lost.header.next)


def apart_reasons(device: str, target: Target) -> Iterator[Reason]:
    """What only an open mapping tells: that the volume has a detached header, which is nowhere named."""
    if target.has_header_apart or target.inspection.format != "none":
        return
    name = opened_apart(device)
    if name:
        text = f"{name} is open over it by a detached header, which neither the device nor /etc/crypttab names"
        yield Reason("header-detached", text, f"luksafe backup {device} --header FILE")


def device_reasons(
    workspace: Workspace, facts: DeviceFacts, target: Target, device: str, chosen: Match, restorable: str
) -> Iterator[Reason]:
    """Whether there is a header, and what is wrong with it."""
    interrupted = interruption_words(workspace, facts)
    if interrupted:
        yield Reason("interrupted-write", interrupted, f"luksafe undo {device}")
    yield from lost_header(device)
    if target.inspection.header is None:
        yield _no_header(target, device, chosen, restorable)
        return
    for finding in target.inspection.findings:
        if finding.severity is not Severity.INFO:
            yield Reason(finding.code, finding.text, f"luksafe diagnose {target.words(device)}")


def _no_header(target: Target, device: str, chosen: Match, restorable: str) -> Reason:
    if chosen.header and chosen.header.is_detached and not target.has_header_apart:
        text = "no header is on the device: it is a detached one, and has to be named"
        return Reason("header-detached", text, f"luksafe check {device} --header FILE")
    there = f", and {names} is there now" if (names := _now_there(target)) else ""
    text = f"the header on the device is damaged or gone{there}: "
    text += "; ".join(f.text for f in target.inspection.findings)
    if instead := _instead(target, device):
        # what a restore would overwrite, and whether one is wanted at all, a diagnosis has to say first
        return Reason("header-damaged", f"{text}; but {instead}", f"luksafe diagnose {target.words(device)}")
    return Reason("header-damaged", text, f"luksafe restore {restorable} {target.header_place(device)} --dry-run")


def _instead(target: Target, device: str) -> str:
    """Why no header may be missing here at all: the file is a container, or a whole volume begins at another byte."""
    if target.has_header_apart:
        return ""
    container = recognise_container(target.reader)
    if container is not None:
        return f"it is {container.text}"
    traces = tuple(find_header_traces(target.reader.read_at(0, TRACED_BYTES)))
    volume = next(find_volumes_elsewhere(target.reader, device, traces, recognise(target.reader)), None)
    return volume.words if volume else ""


def damage_reasons(damaged: Sequence[Contradicted], target: Target, device: str) -> Iterator[Reason]:
    """The keyslots that a backup of the same enrolment contradicts."""
    for found in damaged:
        # without a proof it may as well be the backup that is damaged: a passphrase tells
        hint = f"luksafe diagnose {target.words(device)}"
        if found.is_proven:
            hint = f"luksafe restore {found.backup_id[:12]} {target.header_place(device)} --dry-run"
        yield Reason("keyslot-damaged", found.words(device), hint)


def destroyed_reasons(target: Target, device: str) -> Iterator[Reason]:
    """What needs no backup to be seen: key material that is not random."""
    header = target.inspection.header
    if header and (destroyed := destroyed_keyslots(target.reader, header)):
        yield Reason(
            "destroyed-keyslot", destroyed_words(destroyed, device), f"luksafe diagnose {target.words(device)}"
        )


def drift_reasons(chosen: Match, damaged: Sequence[Contradicted], device: str) -> Iterator[Reason]:
    """How the device differs from its backup, but for the keyslots that are damaged."""
    slots = {f"keyslots.{found.keyslot}" for found in damaged}
    changes = [c for c in chosen.changes if c.code != "keyslot-area-differs" or c.where not in slots]
    hint = f"luksafe diagnose {device}" if damaged else f"luksafe backup {device}"
    if changes:
        words = "; ".join(change.text for change in changes)
        yield Reason("drift", f"the device changed since its backup: {words}", hint)
    elif not chosen.backup.is_current and not damaged:
        text = f"the device has the header of backup {chosen.backup.id[:12]}, but another one is current"
        yield Reason("not-current", text, hint)


def _now_there(target: Target) -> str:
    """What took the place of the header, as blkid calls it."""
    from luksafe.probe.recognise import recognise  # costs start-up time, and only lost headers need it
    from luksafe.probe.recognised import Kind

    found = recognise(target.reader)
    names = (f.name for f in found if f.copy == "primary" and f.name != "crypto_LUKS" and f.kind is not Kind.BOOT_CODE)
    return " and ".join(dict.fromkeys(names))


def size_reason(own: OwnLineage, facts: DeviceFacts, device: str) -> Reason | None:
    """That the device has another size than when it was last backed up; None where it has not, or none was noted."""
    noted = [e.device.size for e in own.latest if e.device.size and tie_of(e.device, facts).is_tied]
    if not noted or facts.size_bytes in noted:
        return None
    before, now = noted[-1], facts.size_bytes
    text = f"it has {now} bytes, and had {before} when it was last backed up"
    if now > before:
        return Reason("device-grown", f"the device has grown: {text}", f"luksafe backup {device}")
    return Reason(
        "device-shrunk",
        f"the device has shrunk: {text}; whatever lay in the last {before - now} bytes is not on it",
        f"luksafe diagnose {device}",
    )
