"""From a captured header to the record that the vault keeps beside it: every parameter, where it is from."""

from __future__ import annotations

import hashlib

from luksafe.device.identity import DeviceFacts
from luksafe.luks.compact import Capture
from luksafe.luks.compare import keyslot_fingerprint
from luksafe.luks.inspection import Inspection
from luksafe.luks.model import Header, Json
from luksafe.ops.describe import describe_header
from luksafe.ops.workspace import Workspace
from luksafe.vault.record import Device, Record, timestamp


def make_record(
    workspace: Workspace,
    inspection: Inspection,
    capture: Capture,
    facts: DeviceFacts | None,
    parents: list[str],
    why: str,
    *,
    is_detached: bool = False,
) -> Record:
    """The record of a captured header; ``facts`` is None for a header that was imported from a file.

    ``is_detached``: it was captured from another file or device than that of its data.
    """
    header = inspection.header
    return Record(
        uuid=uuid_of(inspection),
        luks=header.format if header else "",
        seqid=header.seqid if header else max((c.seqid or 0 for c in inspection.copies), default=0),
        label=header.label if header else "",
        lineage=lineage_of(header) if header else "",
        parents=parents,
        kept=[(start, end - start) for start, end in capture.kept],
        whole=bool(capture.why_whole),
        parameters=_parameters(header, capture, is_detached) if header else {"why_whole": capture.why_whole},
        device=record_device(facts) if facts else Device(),
        host=workspace.host_name,
        why=why,
        created=timestamp(workspace.now()),
        tool=workspace.tool,
    )


def uuid_of(inspection: Inspection) -> str:
    """The UUID of the header in force; of a damaged one, what its copies still state."""
    if inspection.header:
        return inspection.header.uuid
    return next((copy.uuid for copy in inspection.copies if copy.uuid), "")


def lineage_of(header: Header) -> str:
    """Equal for headers that are generations of one: same UUID, same volume key by its digest."""
    segment = header.default_segment
    digest = header.digest_of_segment(segment.id) if segment else None
    if digest is None or not digest.digest:
        return ""
    text = header.uuid.encode("utf-8", "surrogateescape") + digest.salt + digest.digest
    return hashlib.sha256(text).hexdigest()[:32]


def _parameters(header: Header, capture: Capture, is_detached: bool) -> Json:
    described = describe_header(header)
    if is_detached or header.is_detached:
        described["detached"] = True
    for slot in described["keyslots"]:
        if slot.get("slot") in header.keyslots:
            slot["enrolment"] = keyslot_fingerprint(header.keyslots[slot["slot"]])
    described["tokens"] = [
        {name: token[name] for name in ("token", "type", "keyslots")} for token in described["tokens"]
    ]
    if capture.why_whole:
        described["why_whole"] = capture.why_whole
    if capture.unreadable:
        described["unreadable"] = [list(part) for part in capture.unreadable]
    return described


def record_device(facts: DeviceFacts) -> Device:
    """What is kept of a device, to know it again."""
    by_id = next((link for link in facts.links if "/by-id/" in link), "")
    return Device(
        path=facts.path,
        by_id=by_id,
        size=facts.size_bytes,
        model=facts.model,
        serial=facts.serial,
        partition=_partition(facts),
    )


def _partition(facts: DeviceFacts) -> Json:
    part = facts.partition
    if part is None:
        inode = {"inode": facts.inode} if facts.inode is not None else {}
        return {"target_key": facts.target_key, **inode}
    return {
        "target_key": facts.target_key,
        "number": part.number,
        "start": part.start_bytes,
        "size": part.size_bytes,
        "disk": part.disk,
        "uuid": part.uuid,
        "type": part.type,
        "name": part.name,
    }
