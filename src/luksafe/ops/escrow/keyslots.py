"""Keyslots and tokens of a live header, changed by cryptsetup, looked at with our own eyes before and after."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from luksafe.crypto.kdf import KdfLimits
from luksafe.device.cryptsetup import run_cryptsetup
from luksafe.device.lock import metadata_lock
from luksafe.device.source import open_source
from luksafe.errors import DamagedInput, Refused, Unsupported
from luksafe.luks.compare import keyslot_fingerprint
from luksafe.luks.inspection import Inspection, inspect
from luksafe.luks.model import Header
from luksafe.luks.unlock import open_keyslot
from luksafe.ops.target import Target, require_path
from luksafe.secret import SecretBytes

SLOTS = {"luks1": 8, "luks2": 32}
TOKENS = 32
RECOVERY_TOKEN = "systemd-recovery"  # noqa: S105  the name of a kind of token


@dataclass(frozen=True, slots=True)
class LiveHeader:
    """A header on its device or file as it is now; ``path`` is what cryptsetup is given."""

    path: Path
    header: Header

    def fingerprint(self, slot: int) -> str:
        """What tells the passphrase of a keyslot from others; empty when the keyslot is free."""
        keyslot = self.header.keyslots.get(slot)
        return keyslot_fingerprint(keyslot) if keyslot else ""

    def free_keyslot(self) -> int:
        """The first that is free. Raises Refused when none is."""
        for slot in range(SLOTS[self.header.format]):
            if slot not in self.header.keyslots:
                return slot
        raise Refused(
            f"all {SLOTS[self.header.format]} keyslots of {self.path} are in use",
            code="no-free-keyslot",
            hint="remove one that is not needed: cryptsetup luksKillSlot DEVICE NUMBER",
        )

    def free_token(self) -> int | None:
        """The first free token number; None for LUKS1, which has no tokens, and when all are taken."""
        if self.header.format == "luks1":
            return None
        return next((number for number in range(TOKENS) if number not in self.header.tokens), None)

    def tokens_of(self, slot: int) -> list[int]:
        """The recovery tokens that speak of this keyslot alone."""
        return [t.id for t in self.header.tokens.values() if t.type == RECOVERY_TOKEN and t.keyslots == (slot,)]


def require_live(target: Target) -> LiveHeader:
    """The target as one that cryptsetup may change: a device or file with a whole header at its start.

    Raises UsageError for a backup, DamagedInput for a damaged header (cryptsetup would repair it in its own way),
    Refused during reencryption, Unsupported.
    """
    path = require_path(target)
    inspection = target.inspection
    header = inspection.require_header()
    if inspection.is_refused or any(copy.state != "ok" for copy in inspection.copies):
        raise DamagedInput(
            f"a header copy of {path} is damaged: cryptsetup would write over it unasked",
            code="header-damaged",
            hint=f"repair it first: luksafe diagnose {path}",
            findings=inspection.all_findings,
        )
    if header.is_in_reencryption:
        raise Refused(f"{path} is in reencryption", code="in-reencryption", hint="let it end first")
    if header.offset or path.suffix == ".gz":
        raise Unsupported(f"the header of {path} is not at its start, or packed: cryptsetup does not take it so")
    return LiveHeader(path, header)


def look_live(path: Path) -> Inspection:
    """What is there now."""
    with open_source(path) as reader, metadata_lock(path):
        return inspect(reader)


def add_keyslot(
    live: LiveHeader,
    volume_key: SecretBytes,
    passphrase: SecretBytes,
    slot: int,
    cost: Sequence[str] = (),
    keep_open: Sequence[int] = (),
) -> None:
    """Put a passphrase into a free keyslot. Raises LuksafeError with cryptsetup's words."""
    options: list[str | SecretBytes] = ["--volume-key-file", volume_key, "--key-slot", str(slot), *cost]
    run_cryptsetup(["luksAddKey", *options, str(live.path), passphrase], keep_open=keep_open)


def kill_keyslot(path: Path, slot: int, keep_open: Sequence[int] = ()) -> None:
    """Erase a keyslot, for good."""
    run_cryptsetup(["luksKillSlot", str(path), str(slot)], keep_open=keep_open)


def add_recovery_token(live: LiveHeader, slot: int, token: int, keep_open: Sequence[int] = ()) -> None:
    """The token that says to systemd and others that a keyslot holds a recovery key."""
    document = json.dumps({"type": RECOVERY_TOKEN, "keyslots": [str(slot)]}).encode()
    arguments = ["token", "import", "--token-id", str(token), str(live.path)]
    run_cryptsetup(arguments, standard_input=document, keep_open=keep_open)


def remove_token(path: Path, token: int, keep_open: Sequence[int] = ()) -> None:
    """Take a token out of the header."""
    run_cryptsetup(["token", "remove", "--token-id", str(token), str(path)], keep_open=keep_open)


def prove_keyslot(path: Path, slot: int, passphrase: SecretBytes, volume_key: SecretBytes) -> Header:
    """Open a keyslot with our own code: the key in it must be the volume's. Gives the header as it is now.

    Raises KeyRejected, DamagedInput.
    """
    with open_source(path) as reader:
        with metadata_lock(path):
            header = inspect(reader).require_header()
        keyslot = header.keyslots.get(slot)
        if keyslot is None:
            raise DamagedInput(f"keyslot {slot} of {path} is not there after cryptsetup added it")
        with open_keyslot(reader, header, keyslot, passphrase, KdfLimits()).volume_key as found:
            if found != volume_key:
                raise DamagedInput(f"keyslot {slot} of {path} holds another volume key")
    return header
