"""The packets of a volume in a line each: for whom, when made, when last proven, and whether they still open it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from luksafe.errors import LuksafeError
from luksafe.luks.model import Header
from luksafe.ops.escrow.found import FoundPacket
from luksafe.ops.escrow.verify import verify_by_notes
from luksafe.ops.stored_headers import stored_headers
from luksafe.ops.workspace import Workspace
from luksafe.vault.vault import Vault

HeadersOf = Callable[[str], Sequence[Header]]
"""Gives the headers that the volume of a UUID may have."""


@dataclass(frozen=True, slots=True)
class PacketSummary:
    """One packet; ``verified`` is the last proof, ``stale`` says why it opens the volume no longer, else empty.

    ``is_dead``: no secret in it opens the volume, nor the current backup of its header.
    """

    id: str
    uuid: str
    kinds: tuple[str, ...]
    sealed_for: str
    made: str
    verified: str
    stale: str = ""
    is_dead: bool = False


def summarise(
    found: Iterable[FoundPacket], live: Header | None = None, current: HeadersOf | None = None
) -> tuple[PacketSummary, ...]:
    """Packets, the latest first; compared by what was noted, not opened: with the ``live`` header of their volume, else
    with what ``current`` gives."""
    summaries = (_summary(packet, live, current) for packet in found)
    return tuple(sorted(summaries, key=lambda packet: packet.made, reverse=True))


def summarised(workspace: Workspace, found: Iterable[FoundPacket]) -> tuple[PacketSummary, ...]:
    """Packets compared with the current backups in the vault, where there is one."""
    with workspace.vault_if_readable() as vault:
        return summarise(found, current=current_headers(vault) if vault else None)


def current_headers(vault: Vault) -> HeadersOf:
    """The headers of a volume's current backups; each volume is read once."""

    @cache
    def headers(uuid: str) -> tuple[Header, ...]:
        return tuple(stored.header for stored in stored_headers(vault, vault.current(uuid))) if uuid else ()

    return headers


def _sealed_for(found: FoundPacket) -> str:
    """For whom, in a few words."""
    public = found.public
    if public is None or not public.recipients:
        return found.packet.scheme
    if public.shares:
        return f"{public.shares.threshold} of {public.shares.count} shares"
    first, *others = public.recipients
    return f"{first.kind} {first.name[:20]}" + (f" and {len(others)} more" if others else "")


def _summary(found: FoundPacket, live: Header | None, current: HeadersOf | None) -> PacketSummary:
    public = found.public
    kept = current(public.uuid) if current and public else ()
    stale, is_dead = _stale(found, (live,) if live else kept)
    return PacketSummary(
        id=public.packet_id if public else found.vault_id[:16],
        uuid=public.uuid if public else "",
        kinds=tuple(public.kinds) if public else (),
        sealed_for=_sealed_for(found),
        made=f"{public.when:%Y-%m-%dT%H:%M:%SZ}" if public else "",
        verified=found.proofs[-1].when if found.proofs else "",
        stale=stale,
        is_dead=is_dead and _stale(found, kept)[1],
    )


def _stale(found: FoundPacket, headers: Sequence[Header]) -> tuple[str, bool]:
    """Why it opens none of these headers with one of its secrets, else empty; whether with none of them."""
    said, dead = [], []
    for header in headers:
        try:
            verdict = verify_by_notes(found, header)
        except LuksafeError:
            return "", False  # nothing is noted: only opening it could tell
        said.append("; ".join(secret.why for secret in verdict.secrets if secret.state == "not"))
        is_all = found.public is not None and {each.kind for each in verdict.secrets} >= set(found.public.kinds)
        dead.append(is_all and all(secret.state == "not" for secret in verdict.secrets))
    return (said[0], all(dead)) if said and all(said) else ("", False)
