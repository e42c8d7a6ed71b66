"""What the public part of a packet, and the words of a share, add to a sheet."""

from __future__ import annotations

from luksafe.errors import UsageError
from luksafe.escrow.packet import read_packet
from luksafe.escrow.public_part import PublicPart
from luksafe.escrow.sharing import Share
from luksafe.ops.sheet_subject import Facts, SheetSubject


def subject_of_packet(sealed: bytes, public: bytes, volume: SheetSubject | None = None) -> SheetSubject:
    """A packet's subject from its public part, with the parameters of ``volume`` where that is at hand.

    Raises DamagedInput where the two files do not belong together, UsageError when ``volume`` is another one.
    """
    part = read_packet(sealed, public).public
    assert part is not None
    if volume is not None and volume.header is not None and volume.header.uuid != part.uuid:
        raise UsageError(
            f"the packet is for volume {part.uuid}, and --opens names volume {volume.header.uuid}",
            hint="name the volume that the packet opens, or leave --opens out",
        )
    opens = (("Volume", part.uuid), ("Host", part.host))
    return SheetSubject(
        name=volume.name if volume else part.host or part.uuid,
        opens=volume.opens if volume else tuple(fact for fact in opens if fact[1]),
        parameters=packet_facts(part) + (volume.parameters if volume else ()),
        header=volume.header if volume else None,
    )


def packet_facts(part: PublicPart) -> Facts:
    """What everybody may know of a packet (label, text)."""
    facts = [
        ("Packet", f"{part.packet_id}, made {part.when:%Y-%m-%d %H:%M} UTC"),
        ("Holds", ", ".join(part.kinds)),
        *(("Sealed for", f"{name.name} ({name.kind})") for name in part.recipients),
    ]
    if part.shares:
        facts.append(("Shares", f"any {part.shares.threshold} of {part.shares.count}, set {part.shares.share_set}"))
    return tuple(facts)


def share_facts(share: Share) -> Facts:
    """Which share this is (label, text)."""
    return (("Share", f"number {share.number} of set {share.share_set}"), ("Needed", f"{share.threshold} of the set"))
