"""A passphrase as recipient: age's scrypt, always alone in its file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

import pyrage

from luksafe.errors import DamagedInput, KeyRejected, UsageError
from luksafe.escrow.recipients.age_scrypt import require_bearable, unseal_scrypt
from luksafe.escrow.recipients.interface import RecipientName, Unsealed, age_header_start, without_space
from luksafe.secret import SecretBytes

WRONG = "Decryption failed"
TOO_MUCH_WORK = "Excessive work"
_WORK_FACTOR = re.compile(rb"\n-> scrypt \S+ ([0-9]+)\n")


@dataclass(frozen=True, slots=True)
class Passphrase:
    """A passphrase: recipient, envelope and identity in one. pyrage picks a scrypt cost of about a second."""

    passphrase: SecretBytes
    name: RecipientName = field(default_factory=lambda: RecipientName("passphrase", "a passphrase"))
    scheme: Literal["passphrase"] = "passphrase"
    binding: str = ""

    def seal(self, plaintext: bytes) -> bytes:
        """A binary age file."""
        return bytes(pyrage.passphrase.encrypt(plaintext, self._text()))

    def unseal(self, sealed: bytes) -> Unsealed:
        """Open an age file; a cost far beyond this machine is refused as Unsupported."""
        work = _WORK_FACTOR.search(age_header_start(sealed))
        if work is not None:
            require_bearable(int(work[1]))
        try:
            return Unsealed(SecretBytes(pyrage.passphrase.decrypt(without_space(sealed), self._text())))
        except pyrage.DecryptError as error:
            text = str(error)
        if text == WRONG:
            raise KeyRejected("the packet does not open with this passphrase (or its first lines are damaged)")
        if text.startswith(TOO_MUCH_WORK):
            return Unsealed(SecretBytes(unseal_scrypt(without_space(sealed), self.passphrase)))
        raise DamagedInput(f"the sealed packet is damaged: {text}", hint="take another copy of it")

    def _text(self) -> str:
        try:
            return self.passphrase.reveal().decode()
        except UnicodeDecodeError:
            raise UsageError("a packet's passphrase has to be text (UTF-8)") from None
