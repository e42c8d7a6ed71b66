"""Revoke: the keyslot that a packet's passphrase opens is erased; and what still opens with it is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from luksafe.crypto.kdf import KdfLimits
from luksafe.errors import DamagedInput, NotFound, Refused
from luksafe.escrow.contents import Contents
from luksafe.luks.key_material import material_range
from luksafe.luks.model import Json
from luksafe.luks.unlock import verify_volume_key
from luksafe.ops.backup import backup_target, note_opened, require_whole_keyslots
from luksafe.ops.escrow.found import FoundPacket, packets_in_vault
from luksafe.ops.escrow.keyslots import LiveHeader, kill_keyslot, look_live, remove_token, require_live
from luksafe.ops.escrow.verify import require_same_volume, try_secret
from luksafe.ops.escrow.volume import data_digest
from luksafe.ops.forgetting import Keep, why_keep_each
from luksafe.ops.stored_headers import StoredHeader, stored_headers
from luksafe.ops.target import Target
from luksafe.ops.workspace import Workspace
from luksafe.secret import SecretBytes
from luksafe.vault.backup import Backup

Say = Callable[[str], None]
LAST_FLAG = "--allow-last"


@dataclass(frozen=True, slots=True)
class RevokePlan:
    """What will be done. ``slot`` is None when the keyslot is gone already; ``enrolment`` tells its passphrase.

    ``others`` are further packets that hold the same passphrase.
    """

    live: LiveHeader
    slot: int | None
    enrolment: str
    tokens: tuple[int, ...]
    others: tuple[str, ...]
    is_last: bool

    def lines(self) -> list[str]:
        """The plan in words."""
        what = f"{self.live.path} ({self.live.header.format}, {self.live.header.uuid}):"
        if self.slot is None:
            return [what, "  the keyslot is gone already: nothing is written"]
        tokens = "".join(f" and token {token}" for token in self.tokens)
        return [
            what,
            "  the header is backed up first, into the vault (that backup, too, opens with the old passphrase)",
            f"  cryptsetup erases keyslot {self.slot}{tokens}: its passphrase opens the device no more",
            *(f"  packet {other} holds the same passphrase" for other in self.others),
            *(["  it is the ONLY keyslot: no passphrase will open the device"] if self.is_last else []),
        ]

    def to_json(self) -> Json:
        """The plan as ``--dry-run --json`` prints it."""
        return {
            "device": str(self.live.path),
            "uuid": self.live.header.uuid,
            "keyslot": self.slot,
            "tokens": list(self.tokens),
            "packets": list(self.others),
            "is_last": self.is_last,
        }


def plan_revoke(
    workspace: Workspace,
    found: FoundPacket,
    contents: Contents | None,
    target: Target,
    limits: KdfLimits | None = None,
    *,
    allow_damaged: bool = False,
) -> RevokePlan:
    """Find the keyslot, by opening it, or (without ``contents``) by what was noted when the packet was proven.

    Raises Refused for a packet with a volume key alone, which cannot be revoked, and where another keyslot is damaged;
    NotFound when nothing tells the slot.
    """
    live = require_live(target)
    uuid = contents.volume.uuid if contents else found.public.uuid if found.public else ""
    require_same_volume(uuid, live.header)
    kinds = contents.kinds if contents else list(found.public.kinds) if found.public else []
    if kinds == ["volume-key"]:
        raise Refused(
            "the packet holds the volume key: no keyslot can be killed to stop it from opening the volume",
            code="volume-key",
            hint="only a new volume key can: cryptsetup reencrypt; then luksafe escrow save, luksafe forget PACKET",
        )
    slot, enrolment = _by_opening(contents, target, live, limits) if contents else _by_notes(found, live)
    enrolment = enrolment or _noted(found)
    if slot is not None:
        require_whole_keyslots(workspace, target, allow_damaged=allow_damaged, erased=slot)
    return RevokePlan(
        live=live,
        slot=slot,
        enrolment=enrolment,
        tokens=tuple(live.tokens_of(slot)) if slot is not None else (),
        others=tuple(_others(workspace, found, live.header.uuid, enrolment)),
        is_last=set(live.header.keyslots) == {slot},
    )


def _by_opening(
    contents: Contents, target: Target, live: LiveHeader, limits: KdfLimits | None
) -> tuple[int | None, str]:
    secret = contents.secret("passphrase")
    if secret is None:
        raise NotFound("the packet holds no passphrase")
    verdict = try_secret(secret, target, live.header, limits)
    if verdict.state == "unknown":
        raise DamagedInput(f"whether a keyslot opens with it cannot be told: {verdict.why}")
    slot = verdict.keyslot
    return (slot, live.fingerprint(slot)) if slot is not None else (None, "")


def _by_notes(found: FoundPacket, live: LiveHeader) -> tuple[int | None, str]:
    proofs = [proof for proof in found.proofs if proof.extra.get("secret") == "passphrase"]
    if not proofs or proofs[-1].keyslot is None:
        raise NotFound(
            f"nothing is noted of which keyslot {found.description} opens",
            code="no-notes",
            hint="open it: --identity FILE, its passphrase or its shares",
        )
    enrolment = str(proofs[-1].extra.get("enrolment", ""))
    fitting = [slot for slot in live.header.keyslots if live.fingerprint(slot) == enrolment]
    return (fitting[0], enrolment) if fitting else (None, enrolment)


def _noted(found: FoundPacket) -> str:
    return next((str(p.extra["enrolment"]) for p in reversed(found.proofs) if "enrolment" in p.extra), "")


def packets_alike(workspace: Workspace, found: FoundPacket) -> list[str]:
    """The other packets in the vault that were noted to hold a secret of this one."""
    noted = _secrets_noted(found)
    packets = packets_in_vault(workspace, found.public.uuid) if found.public and noted else []
    return [
        each.public.packet_id if each.public else each.vault_id
        for each in packets
        if each.vault_id != found.vault_id and noted & _secrets_noted(each)
    ]


def _secrets_noted(found: FoundPacket) -> set[str]:
    extras = [proof.extra for proof in found.proofs]
    return {str(extra[name]) for extra in extras for name in ("enrolment", "lineage") if name in extra}


def _others(workspace: Workspace, found: FoundPacket, uuid: str, enrolment: str) -> list[str]:
    packets = packets_in_vault(workspace, uuid) if enrolment else []
    return [
        each.public.packet_id if each.public else each.vault_id
        for each in packets
        if each.vault_id != found.vault_id and enrolment in {proof.extra.get("enrolment") for proof in each.proofs}
    ]


def revoke(
    workspace: Workspace,
    plan: RevokePlan,
    target: Target,
    say: Say,
    *,
    allow_last: bool = False,
    volume_key: SecretBytes | None = None,
) -> None:
    """Carry out a confirmed plan; with ``volume_key`` the header that is left is proven by it.

    Raises Refused for the last keyslot unless ``allow_last``, LuksafeError.
    """
    if plan.slot is None:
        return
    if plan.is_last and not allow_last:
        raise Refused(
            f"keyslot {plan.slot} is the only one: afterwards no passphrase opens {plan.live.path}",
            code="last-keyslot",
            hint=f"add another passphrase first, or say {LAST_FLAG}",
        )
    backup_target(workspace, target, "before a keyslot was revoked")
    if look_live(plan.live.path).require_header().document != plan.live.header.document:
        raise Refused("the header changed meanwhile; nothing was written", hint="look at the new plan: run it again")
    for token in plan.tokens:
        remove_token(plan.live.path, token)
    kill_keyslot(plan.live.path, plan.slot)
    left = look_live(plan.live.path).require_header()
    if plan.slot in left.keyslots:
        raise DamagedInput(f"keyslot {plan.slot} is still there after cryptsetup killed it")
    say(f"keyslot {plan.slot} is erased")
    after = backup_target(workspace, target, "after a keyslot was revoked")
    if volume_key is not None and verify_volume_key(digest := data_digest(left), volume_key):
        note_opened(workspace, after, None, digest.id, "its digest proves the volume key, after a keyslot was revoked")
    for slot, digest_id in _proven_before(workspace, after):
        note_opened(
            workspace, after, slot, digest_id, f"keyslot {slot} was proven before, and is byte for byte the same"
        )


def _proven_before(workspace: Workspace, backup_id: str) -> list[tuple[int, int]]:
    """The keyslots of a backup that were opened in an earlier one and have not changed since, with their digests."""
    with workspace.open_vault() as vault:
        uuid = vault.resolve(backup_id).record.uuid
        stored = list(stored_headers(vault, vault.backups(uuid)))
        new = next((each for each in stored if each.backup.id == backup_id), None)
        if new is None:
            return []
        digests = {slot: new.header.digest_of_keyslot(slot) for slot in new.header.keyslots}
        return [
            (slot, digest.id)
            for slot, digest in digests.items()
            if digest and any(_is_proven_same(old, new, slot) for old in stored if old is not new)
        ]


def _is_proven_same(old: StoredHeader, new: StoredHeader, slot: int) -> bool:
    before, now = old.header.keyslots.get(slot), new.header.keyslots[slot]
    digests = [stored.header.digest_of_keyslot(slot) for stored in (old, new)]
    keys = {(digest.salt, digest.digest) if digest else None for digest in digests}
    if before != now or len(keys) != 1 or all(proof.keyslot != slot for proof in old.backup.proofs):
        return False
    start, end = material_range(now) or (0, 0)
    return old.reader.read_at(start, end - start) == new.reader.read_at(start, end - start)


@dataclass(frozen=True, slots=True)
class StillOpened:
    """A backup that the revoked passphrase still opens; ``keep``: why it should not be forgotten, None if it may."""

    backup: Backup
    keep: Keep | None


def still_opened(workspace: Workspace, plan: RevokePlan) -> list[StillOpened]:
    """The backups in the vault that the revoked passphrase still opens."""
    if not plan.enrolment:
        return []
    try:
        with workspace.open_vault() as vault:
            backups = [b for b in vault.backups(plan.live.header.uuid) if plan.enrolment in _enrolments(b)]
            keeps = why_keep_each(vault, backups)
    except NotFound:
        return []
    return [StillOpened(backup, keeps.get(backup.id)) for backup in backups]


def _enrolments(backup: Backup) -> set[str]:
    slots = backup.record.parameters.get("keyslots", [])
    return {str(slot.get("enrolment", "")) for slot in slots if isinstance(slot, dict)}
