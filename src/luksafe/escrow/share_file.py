"""A share as a text file: what it is for in comment lines, then its words in a numbered grid. read_share reads it."""

from __future__ import annotations

from luksafe.escrow.public_part import PublicPart
from luksafe.escrow.sharing import Share

WORDS_IN_LINE = 4


def render_share(share: Share, packet: PublicPart) -> bytes:
    """The file of one share of this packet. It is a secret: write it 0600, and keep it apart from the others."""
    count = packet.shares.count if packet.shares else 0
    lines = [
        f"# luksafe: share {share.number} of {count}. Any {share.threshold} open the packet, fewer tell nothing.",
        "# Keep it secret, and apart from the other shares and from the packet.",
        f"# set: {share.share_set} (the first two words; the same on every share of the set)",
        f"# packet: {packet.packet_id}, made {packet.when:%Y-%m-%d}, for {packet.format} {packet.uuid}",
        f"# host: {_in_one_line(packet.host)}",
        "# To open: luksafe escrow open PACKET. Without luksafe: any SLIP-39 tool gives 32 hexadecimal digits from the",
        "# words; they are the passphrase for: age --decrypt PACKET.age",
    ]
    for at in range(0, len(share.words), WORDS_IN_LINE):
        words = enumerate(share.words[at : at + WORDS_IN_LINE], at + 1)
        lines.append("".join(f"{number:>2} {word:<10}" for number, word in words).rstrip())
    return ("\n".join(lines) + "\n").encode()


def _in_one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
