"""Key material that differs though nothing says that it was written anew: damage, of the device or of a backup.

Every enrolment has a new salt, so two headers with the same one must have the same key material.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from luksafe.luks.compare import keyslot_fingerprint, same_volume_key
from luksafe.luks.key_material import material_range
from luksafe.luks.model import Header, Keyslot
from luksafe.ops.stored_headers import stored_headers
from luksafe.ops.workspace import Workspace
from luksafe.reader import Reader
from luksafe.vault.record import Proof
from luksafe.vault.vault import Vault

MOST_WITNESSES = 20


@dataclass(frozen=True, slots=True)
class Witness:
    """A readable backup: what it says of a keyslot counts more when ``proven``, the keyslots that opened it."""

    id: str
    reader: Reader
    header: Header
    proven: frozenset[int]


@dataclass(frozen=True, slots=True)
class Contradicted:
    """A keyslot with other key material than a backup of the same enrolment; ``is_proven``: that backup opened."""

    keyslot: int
    backup_id: str
    is_proven: bool

    def words(self, what: str) -> str:
        """What is wrong with ``what``, which holds the keyslot."""
        name = self.backup_id[:12]
        if self.is_proven:
            return (
                f"keyslot {self.keyslot} of {what} is damaged: its key material differs from the proven backup {name},"
                " though nothing says that it was written anew"
            )
        return (
            f"keyslot {self.keyslot} is damaged in {what} or in backup {name}, which was never proven: its key"
            " material differs, though nothing says that it was written anew"
        )


def proven_keyslots(proofs: Sequence[Proof]) -> frozenset[int]:
    """The keyslots that these proofs opened."""
    return frozenset(proof.keyslot for proof in proofs if proof.keyslot is not None)


def find_witnesses(vault: Vault, uuid: str) -> list[Witness]:
    """The backups of a volume that can be read, proven ones first, then current ones."""
    known = vault.backups(uuid) if uuid else []
    own = [backup for backup in known if not backup.is_foreign] or known
    ranked = sorted(own, key=lambda b: (not b.proofs, not b.is_current))
    return [
        Witness(found.backup.id, found.reader, found.header, proven_keyslots(found.backup.proofs))
        for found in stored_headers(vault, ranked[:MOST_WITNESSES])
    ]


def find_contradicted(header: Header, reader: Reader, witnesses: Sequence[Witness]) -> tuple[Contradicted, ...]:
    """The keyslots that no backup of the same enrolment agrees with; where some are proven, only these are asked."""
    found = []
    for keyslot in header.keyslots.values():
        asked = [w for w in witnesses if _has_same(w.header, header, keyslot)]
        proven = [w for w in asked if keyslot.id in w.proven]
        judges = proven or asked
        ours = _material(reader, header, keyslot)
        if judges and not any(ours == _material(w.reader, w.header, w.header.keyslots[keyslot.id]) for w in judges):
            found.append(Contradicted(keyslot.id, judges[0].id, bool(proven)))
    return tuple(found)


def contradicted_in_vault(workspace: Workspace, header: Header, reader: Reader) -> tuple[Contradicted, ...]:
    """The keyslots of a header that a backup in the vault contradicts; none without a vault that can be read."""
    with workspace.vault_if_readable() as vault:
        witnesses = find_witnesses(vault, header.uuid) if vault else []
    return find_contradicted(header, reader, witnesses)


def _has_same(stored: Header, header: Header, keyslot: Keyslot) -> bool:
    """Whether another header has this very enrolment, at the same place."""
    other = stored.keyslots.get(keyslot.id)
    if other is None or material_range(keyslot) is None or same_volume_key(stored, header) is False:
        return False
    is_same = keyslot_fingerprint(other) == keyslot_fingerprint(keyslot)
    return is_same and (other.kdf, other.af, other.area) == (keyslot.kdf, keyslot.af, keyslot.area)


def _material(reader: Reader, header: Header, keyslot: Keyslot) -> bytes | None:
    start, end = material_range(keyslot) or (0, 0)
    try:
        return reader.read_at(header.offset + start, end - start)
    except OSError:
        return None
