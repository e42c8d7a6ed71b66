"""The packets of a volume in a line each: for whom, when made, when last proven, and whether they still open it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from luksafe.errors import LuksafeError
from luksafe.luks.model import Header
from luksafe.ops.escrow.found import FoundPacket
from luksafe.ops.escrow.verify import verify_by_notes


@dataclass(frozen=True, slots=True)
class PacketSummary:
    """One packet; ``verified`` is the last proof, ``stale`` says why it opens the volume no longer, else empty."""

    id: str
    uuid: str
    kinds: tuple[str, ...]
    sealed_for: str
    made: str
    verified: str
    stale: str = ""


def summarise(found: Iterable[FoundPacket], header: Header | None = None) -> tuple[PacketSummary, ...]:
    """Packets, the latest first; compared with ``header`` by what was noted, not opened."""
    summaries = (_summary(packet, header) for packet in found)
    return tuple(sorted(summaries, key=lambda packet: packet.made, reverse=True))


def _sealed_for(found: FoundPacket) -> str:
    """For whom, in a few words."""
    public = found.public
    if public is None or not public.recipients:
        return found.packet.scheme
    if public.shares:
        return f"{public.shares.threshold} of {public.shares.count} shares"
    first, *others = public.recipients
    return f"{first.kind} {first.name[:20]}" + (f" and {len(others)} more" if others else "")


def _summary(found: FoundPacket, header: Header | None) -> PacketSummary:
    public = found.public
    return PacketSummary(
        id=public.packet_id if public else found.vault_id[:16],
        uuid=public.uuid if public else "",
        kinds=tuple(public.kinds) if public else (),
        sealed_for=_sealed_for(found),
        made=f"{public.when:%Y-%m-%dT%H:%M:%SZ}" if public else "",
        verified=found.proofs[-1].when if found.proofs else "",
        stale=_stale(found, header) if header else "",
    )


def _stale(found: FoundPacket, header: Header) -> str:
    try:
        verdict = verify_by_notes(found, header)
    except LuksafeError:
        return ""  # nothing is noted: only opening it could tell
    return "; ".join(secret.why for secret in verdict.secrets if secret.state == "not")
