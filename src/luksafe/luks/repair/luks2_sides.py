"""Two contents that both hold: which is in force, or that nothing decides (a higher sequence id alone does not)."""

from __future__ import annotations

from typing import Any

from luksafe.luks.compare import describe_keyslot
from luksafe.luks.luks2.metadata import build_header
from luksafe.luks.model import CopyName
from luksafe.luks.repair.luks2_proof import Content
from luksafe.luks.repair.proposal import Side

_OPENING_MEMBERS = ("keyslots", "tokens", "segments", "digests", "config")


def decide(contents: dict[CopyName, Content], take: CopyName | None) -> tuple[CopyName, str] | None:
    """The copy whose content goes to both places, and why; None where the evidence is split."""
    if take in contents:
        return take, f"chosen with --take {take}"
    if take is not None:
        return None
    (name, first), *others = contents.items()
    if not others:
        return name, f"the {name} header is whole: {first.why}"
    other_name, other = others[0]
    if first.meaning == other.meaning:
        return name, "both copies say the same"
    if _opens_alike(first, other):
        newer = name if first.binary.seqid > other.binary.seqid else other_name
        return (
            newer,
            f"the {newer} header has the higher sequence id; whatever opens or maps the data is the same in both",
        )
    older, newer = sorted(contents, key=lambda place: contents[place].binary.seqid)
    if _is_next_step(contents[older], contents[newer]):
        return newer, f"the {newer} header is the next step of the same reencryption, which was interrupted in it"
    return None


def _opens_alike(one: Content, other: Content) -> bool:
    """Whether the two differ in sequence id and names only, so that nobody is locked out whichever is taken."""
    a, b = one.document or {}, other.document or {}
    same = all(a.get(member) == b.get(member) for member in _OPENING_MEMBERS)
    return same and one.binary.uuid == other.binary.uuid and one.binary.seqid != other.binary.seqid


def _is_next_step(older: Content, newer: Content) -> bool:
    """Whether cryptsetup was writing the next state of a reencryption: the data are where the newer one says."""
    a, b = older.document or {}, newer.document or {}
    same = older.binary.uuid == newer.binary.uuid and a.get("keyslots") == b.get("keyslots")
    return same and newer.binary.seqid == older.binary.seqid + 1 and _is_reencrypting(a) and _is_reencrypting(b)


def _is_reencrypting(document: dict[str, Any]) -> bool:
    mandatory = document.get("config", {}).get("requirements", {}).get("mandatory", [])
    return any(str(name).startswith("online-reencrypt") for name in mandatory)


def describe_sides(contents: dict[CopyName, Content]) -> tuple[Side, ...]:
    """Both contents in words, each with the option that takes it."""
    return tuple(Side(name, _describe(content), f"--take {name}") for name, content in contents.items())


def _describe(content: Content) -> str:
    document: dict[str, Any] | None = content.document
    binary = content.binary
    words = [f"sequence id {binary.seqid}", f"UUID {binary.uuid}", f"label {binary.label or 'none'}"]
    if document is not None:
        header = build_header(binary, document)
        words += [describe_keyslot(keyslot) for keyslot in header.keyslots.values()] or ["no keyslot"]
        words += [f"token {token.id} ({token.type})" for token in header.tokens.values()]
        words += [f"segment {s.id} at {s.offset}: {s.encryption}" for s in header.segments.values()]
    return ", ".join(words)
