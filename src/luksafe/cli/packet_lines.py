"""The escrow packets of a volume as ``check`` and ``list`` mention them."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from luksafe.cli.text import age_of

if TYPE_CHECKING:
    from luksafe.ops.escrow.summary import PacketSummary

MOST_LINES = 3


def packet_lines(packets: Sequence[PacketSummary], uuid: str, now: datetime) -> Iterator[str]:
    """A line for each packet, the latest first; of many only the count and where to see all."""
    for packet in packets[:MOST_LINES]:
        made = f", made {age_of(packet.made, now)}" if packet.made else ""
        verified = f"verified {age_of(packet.verified, now)}" if packet.verified else "never verified"
        kinds = " and ".join(packet.kinds) or "contents unknown"
        line = f"packet {packet.id}: {kinds} for {packet.sealed_for}{made}, {verified}"
        yield from _wrapped(line) if sys.stdout.isatty() else (line,)
    if len(packets) > MOST_LINES:
        yield f"and {len(packets) - MOST_LINES} more packets: luksafe escrow show {uuid}"


def _wrapped(line: str) -> list[str]:
    """The line in pieces that a terminal shows, two columns in, without breaking words."""
    return textwrap.wrap(line, 77, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
