"""The escrow packets of a volume as ``check``, ``list`` and ``escrow show`` mention them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from luksafe.cli.text import age_of

if TYPE_CHECKING:
    from luksafe.ops.escrow.summary import PacketSummary

MOST_LINES = 3


def packet_lines(packets: Sequence[PacketSummary], uuid: str, now: datetime) -> Iterator[str]:
    """A line for each packet, the latest first; of many only the count and where to see all."""
    yield from (packet_line(packet, now) for packet in packets[:MOST_LINES])
    if len(packets) > MOST_LINES:
        yield f"and {len(packets) - MOST_LINES} more packets: luksafe escrow show {uuid}"


def packet_line(packet: PacketSummary, now: datetime) -> str:
    """What it is, for whom, how old, and when it was last seen to open."""
    made = f", made {age_of(packet.made, now)}" if packet.made else ""
    verified = f"verified {age_of(packet.verified, now)}" if packet.verified else "never verified"
    kinds = " and ".join(packet.kinds) or "contents unknown"
    stale = f"; {'DEAD' if packet.is_dead else 'stale'}: {packet.stale}" if packet.stale else ""
    return f"packet {packet.id}: {kinds} for {packet.sealed_for}{made}, {verified}{stale}"
