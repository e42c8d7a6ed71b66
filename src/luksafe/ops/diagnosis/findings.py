"""All that was found, as findings: of the header itself, of its parts, of culprits, of the key that was tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from luksafe.luks.finding import Finding, Severity
from luksafe.luks.model import Header
from luksafe.luks.requirements import unknown_requirements
from luksafe.luks.weaknesses import weaknesses
from luksafe.ops.diagnosis.against_backup import Contradiction, backup_findings
from luksafe.ops.diagnosis.facts import Facts
from luksafe.ops.diagnosis.layout import VolumeLayout
from luksafe.ops.diagnosis.model import CERTAIN, Culprit, Part, State, Verdict
from luksafe.ops.diagnosis.remains import key_like_runs
from luksafe.ops.leftovers import gpt_words, live_backup_gpt

MOST_RANGES = 40


def collect_findings(
    facts: Facts,
    layout: VolumeLayout,
    parts: Sequence[Part],
    culprits: Sequence[Culprit],
    contradiction: Contradiction | None,
    verdict: Verdict,
) -> Iterator[Finding]:
    """Everything worth saying, the header's own findings first."""
    yield from _of_header(facts, verdict)
    yield from _of_parts(parts)
    yield from _of_culprits(culprits, verdict)
    yield from backup_findings(facts, facts.mended.header)
    if contradiction is not None:
        text = f"backup {contradiction.backup.id[:12]} contradicts it: {'; '.join(contradiction.texts)}"
        yield Finding("contradicts-backup", Severity.ERROR, "header", text)
    if facts.mended.header is not None:
        yield from _of_state(facts, facts.mended.header)
    elif verdict is not Verdict.NOT_LUKS:
        yield from _of_remains(facts)
    yield from _of_traces(facts, layout)
    yield from _of_backup_gpt(facts)
    yield from _of_attempt(facts, parts, contradiction)


def _of_header(facts: Facts, verdict: Verdict) -> Iterator[Finding]:
    seen: set[tuple[str, str]] = set()
    for finding in facts.inspection.all_findings:
        if (finding.code, finding.where) not in seen:
            seen.add((finding.code, finding.where))
            is_mere = verdict is Verdict.HEALTHY and finding.severity is Severity.ERROR
            yield replace(finding, severity=Severity.WARNING) if is_mere else finding


def _of_parts(parts: Sequence[Part]) -> Iterator[Finding]:
    for part in parts:
        for damage in part.damage[:MOST_RANGES]:
            severity = Severity.WARNING if part.kind == "data" else Severity.ERROR
            text = f"{part.name}, bytes {damage.offset} to {damage.end}: {damage.looks} ({damage.evidence})"
            evidence: dict[str, str | int | float | bool | list[str]] = {"looks": damage.looks}
            yield Finding("damaged-range", severity, part.name, text, damage.offset, damage.length, evidence)
        if part.state is State.SUSPECT:
            text = f"{part.name}: {part.why}"
            yield Finding("suspect-part", Severity.WARNING, part.name, text, part.start, part.end - part.start)


def _of_culprits(culprits: Sequence[Culprit], verdict: Verdict) -> Iterator[Finding]:
    for culprit in culprits:
        is_alone = verdict is Verdict.NOT_LUKS
        severity = Severity.INFO if is_alone else Severity.WARNING
        what = "there is" if is_alone else "overwritten by"
        text = f"{what} {culprit.name} ({culprit.confidence}): {culprit.evidence}"
        evidence: dict[str, str | int | float | bool | list[str]] = {
            "name": culprit.name,
            "confidence": culprit.confidence,
            "evidence": culprit.evidence,
            "also_hit": [f"{h.where}: bytes {h.offset} to {h.offset + h.length}, {h.what}" for h in culprit.hits],
        }
        code = "foreign-structure" if is_alone else "overwritten"
        yield Finding(code, severity, "device", text, culprit.offset, culprit.length, evidence)


def _of_state(facts: Facts, header: Header) -> Iterator[Finding]:
    if header.is_in_reencryption:
        yield Finding("reencryption", Severity.WARNING, "config.requirements", _reencryption_words(header))
    for finding in weaknesses(header):  # a cheap key derivation is no damage
        yield replace(finding, severity=Severity.INFO) if finding.code == "weak-kdf" else finding
    for name in unknown_requirements(header.config.requirements):
        text = f"unknown requirement {name!r}: a newer tool wrote it, and only that can open the volume"
        yield Finding("unknown-requirement", Severity.ERROR, "config.requirements", text)
    size = facts.data_size_bytes
    if header.areas_end < size <= header.data_offset and not facts.is_detached:
        text = (
            f"the data begin at byte {header.data_offset}, at or behind the end: this is a header alone, or it was cut"
        )
        yield Finding("no-data", Severity.INFO, "segments", text, size, header.data_offset - size)
    for segment in header.data_segments:
        if segment.size is not None and size > header.data_offset and segment.offset + segment.size > size:
            missing = segment.offset + segment.size - size
            text = f"segment {segment.id} ends {missing} bytes behind the end of the device: it was cut or moved"
            yield Finding("data-truncated", Severity.WARNING, f"segments.{segment.id}", text, size, missing)


def _reencryption_words(header: Header) -> str:
    keyslot = next((k for k in header.keyslots.values() if k.type == "reencrypt"), None)
    mode = str(keyslot.raw.get("mode", "reencrypt")) if keyslot else "reencrypt"
    direction = str(keyslot.raw.get("direction", "forward")) if keyslot else "forward"
    resilience = str(keyslot.area.type) if keyslot and keyslot.area else "unknown"
    done = header.data_segments
    where = ", ".join(f"segment {s.id} ({s.type}) from byte {s.offset}" for s in done)
    words = {"encrypt": "encryption in place", "decrypt": "decryption", "reencrypt": "reencryption"}
    return f"{words.get(mode, mode)} was begun and not finished ({direction}, resilience {resilience}): {where}"


def _of_remains(facts: Facts) -> Iterator[Finding]:
    for start, end in key_like_runs(facts)[:4]:
        text = f"bytes {start} to {end} look like key material or cipher text: what a backup needs may be whole"
        yield Finding("random-area", Severity.INFO, "device", text, start, end - start)


def _of_traces(facts: Facts, layout: VolumeLayout) -> Iterator[Finding]:
    own = {copy.offset for copy in facts.inspection.copies if copy.state != "missing"}
    if layout.header is not None:
        own |= {0, layout.header.header_size} if layout.header.format == "luks2" else {0}
    for trace in facts.traces:
        if trace.offset in own:
            continue
        if trace.volume_offset == 0:
            text = f"a {trace.copy} header of volume {trace.uuid} at byte {trace.offset}: of an earlier format"
            yield Finding("stale-header", Severity.WARNING, "device", text, trace.offset, 4096)
        else:
            place = f"byte {trace.volume_offset}" if trace.volume_offset > 0 else f"{-trace.volume_offset} bytes before"
            text = f"a {trace.format} header at byte {trace.offset} belongs to a volume that begins at {place}"
            yield Finding("shifted-header", Severity.WARNING, "device", text, trace.offset, 4096)


def _of_backup_gpt(facts: Facts) -> Iterator[Finding]:
    found = live_backup_gpt(facts.recognised)
    if found and facts.mended.header is not None and not facts.is_detached:
        text = gpt_words(facts.device, found)
        yield Finding("backup-gpt", Severity.WARNING, "device", text, found.offset, found.length)


def _of_attempt(facts: Facts, parts: Sequence[Part], contradiction: Contradiction | None) -> Iterator[Finding]:
    attempt = facts.attempt
    if attempt is None:
        return
    if attempt.problem:
        yield Finding("key-not-tried", Severity.WARNING, "keyslots", f"the key could not be tried: {attempt.problem}")
    elif attempt.is_rejected:
        yield Finding(
            "key-rejected", Severity.ERROR, "keyslots", _rejection_words(attempt.is_volume_key, parts, contradiction)
        )
    else:
        what = "it is the volume key" if attempt.is_volume_key else f"it opens keyslot {attempt.keyslot}"
        how = f", {attempt.variant}" if attempt.variant else ""
        sense = f"; the data: {attempt.sense}" if attempt.sense else ""
        severity = Severity.WARNING if attempt.variant or attempt.better else Severity.INFO
        yield Finding("key-accepted", severity, "keyslots", f"the key fits: {what}{how}{sense}")
    if attempt.better:
        text = f"with the parameters of the header the data make no sense, but {attempt.better}"
        yield Finding("wrong-parameters", Severity.ERROR, "segments", text)


def _rejection_words(is_volume_key: bool, parts: Sequence[Part], contradiction: Contradiction | None) -> str:
    if contradiction is not None and not contradiction.is_only_uuid:
        what = "volume key" if is_volume_key else "passphrase"
        why = contradiction.texts[0]
        return f"the {what} opens nothing, but the header is damaged ({why}): it may well be the right one"
    if is_volume_key:
        return "no digest of the header fits this volume key: it belongs to another volume, or a digest is damaged"
    slots = [part for part in parts if part.keyslot is not None and part.state is not State.INACTIVE]
    bad = [str(part.keyslot) for part in slots if part.state is not State.INTACT]
    if bad:
        return f"the passphrase opens nothing: keyslot {', '.join(bad)} is damaged, so it may well be the right one"
    if slots and all(part.sure == CERTAIN for part in slots):
        return "the passphrase is wrong: every keyslot is the same as in a backup that was seen to open it (certain)"
    return (
        "the passphrase is most likely wrong: every keyslot looks random throughout. Not seen would be a change of a"
        " few bytes; a header backup that was seen to open, or another passphrase, would settle it"
    )
