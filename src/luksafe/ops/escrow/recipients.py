"""From what ``--recipient`` and ``--shares`` say to groups that one packet each can be sealed to."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from luksafe.errors import NotFound, UsageError
from luksafe.escrow.public_part import Shares
from luksafe.escrow.recipients.age import PluginCallbacks, parse_recipient
from luksafe.escrow.recipients.files import MAX_FILE_BYTES, read_recipients
from luksafe.escrow.recipients.interface import Recipient
from luksafe.escrow.recipients.passphrase import Passphrase
from luksafe.escrow.sharing import Share, split_passphrase
from luksafe.secret import SecretBytes
from luksafe.vault.name import is_like_file

ANY_PASSPHRASE = "passphrase"  # noqa: S105  the word for "whoever knows a passphrase"
_SHARES = re.compile(r"([0-9]{1,2})(?:/|of)([0-9]{1,2})")


@dataclass(frozen=True, slots=True)
class SealTo:
    """Whom one packet is sealed to. ``shares`` are the words to hand out, where its passphrase was split: as files in
    ``shares_folder``, or (None) by whoever called.
    """

    recipients: tuple[Recipient, ...]
    public_shares: Shares | None = None
    shares: tuple[Share, ...] = ()
    shares_folder: Path | None = None


def read_recipient(text: str, callbacks: PluginCallbacks | None = None) -> list[Recipient]:
    """A recipient spelled out (``age1…``, ``ssh-…``), or those in a file. Raises UsageError, NotFound, Unsupported."""
    if os.path.lexists(text):
        try:
            with open(text, "rb") as file:
                return read_recipients(file.read(MAX_FILE_BYTES + 1), callbacks)
        except OSError as error:
            raise NotFound(f"recipients file {text}: {error.strerror}") from None
    if text.startswith(("age1", "ssh-")):
        return [parse_recipient(text, callbacks)]
    if is_like_file(text):
        raise UsageError(f"{text}: no such file, and no recipient", hint="check the name of the file of recipients")
    raise UsageError(
        f"{text[:70]!r} is no recipient and no file",
        hint="a recipient is age1…, ssh-…, a certificate file, a file of recipients, or the word passphrase",
    )


def packet_passphrase(typed: SecretBytes) -> SecretBytes:
    """A packet's passphrase as age takes it: a line end, which nobody can type there, is not part of it."""
    end = len(typed.view.tobytes().rstrip(b"\r\n"))
    if not end:
        raise UsageError("the packet's passphrase is empty; nothing was done")
    return SecretBytes(typed.view[:end])


def group_recipients(recipients: Sequence[Recipient], passphrase: SecretBytes | None = None) -> list[SealTo]:
    """One group for each scheme: age keys, certificates, a passphrase."""
    age = tuple(recipient for recipient in recipients if recipient.scheme == "age")
    certificates = tuple(recipient for recipient in recipients if recipient.scheme == "cms")
    groups = [SealTo(group) for group in (age, certificates) if group]
    return [*groups, SealTo((Passphrase(packet_passphrase(passphrase)),))] if passphrase is not None else groups


def split_shares(text: str, random_bytes: Callable[[int], bytes], folder: Path | None = None) -> SealTo:
    """``3/5``: a packet under a fresh passphrase that any 3 of 5 shares give. Raises UsageError, Unsupported."""
    if folder is not None and not folder.is_dir():
        raise UsageError(f"{folder} is no folder", hint="make it first: mkdir -m 700")
    found = _SHARES.fullmatch(text.replace(" ", ""))
    if found is None:
        raise UsageError(f"--shares {text!r} is not understood", hint="such as --shares 3/5: any three of five")
    split = split_passphrase(int(found[1]), int(found[2]), random_bytes)
    return SealTo((split.recipient,), split.public, split.shares, folder)


def recipient_oddities(recipients: Sequence[Recipient], now: datetime) -> list[str]:
    """What is odd about certificates (expired, weak, unknown issuer), in sentences. It never stops anybody."""
    found: list[str] = []
    for recipient in recipients:
        if recipient.scheme == "cms":
            from luksafe.escrow.recipients.certificates import oddities
            from luksafe.escrow.recipients.x509 import X509Recipient

            assert isinstance(recipient, X509Recipient)
            found += oddities((recipient.certificate, *recipient.chain), now)
    return found
