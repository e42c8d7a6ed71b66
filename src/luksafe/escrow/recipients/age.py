"""Age recipients and identities by pyrage: X25519, ssh keys, plugins, and the tag recipients of hardware keys."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pyrage

from luksafe.errors import DamagedInput, KeyRejected, Unsupported, UsageError
from luksafe.escrow.recipients.interface import Envelope, RecipientName, Scheme, Unsealed, without_space
from luksafe.programs import fixed_path
from luksafe.secret import SecretBytes
from luksafe.wall import walled

MOST_NAME = 128
NAME_START = 32
NO_MATCH = "No matching keys found"


class PluginCallbacks:
    """What a plugin may ask of the user; this one has nobody to ask. A terminal's version overrides the methods."""

    def display_message(self, message: str) -> None:
        """Show a message, such as "touch the key now"."""

    def confirm(self, message: str, yes_string: str, no_string: str | None) -> bool | None:
        """Ask yes or no; None: cannot ask."""
        return None

    def request_public_string(self, description: str) -> str | None:
        """Ask for something that is no secret; None: cannot ask."""
        return None

    def request_passphrase(self, description: str) -> str | None:
        """Ask for a PIN or passphrase; None: cannot ask."""
        return None


@dataclass(frozen=True, slots=True)
class AgeRecipient:
    """A public key that age knows; ``handle`` is pyrage's object for it."""

    text: str
    kind: Literal["x25519", "ssh", "tag", "plugin"]
    handle: Any = field(repr=False)
    scheme: Literal["age"] = "age"

    @property
    def name(self) -> RecipientName:
        """The key itself, or its beginning and SHA-256 when it is long; of an ssh key what ssh-keygen -l prints."""
        if self.kind != "ssh" and len(self.text) > MOST_NAME:  # a post-quantum key has 2000 letters
            digest = hashlib.sha256(self.text.encode()).hexdigest()
            return RecipientName(self.kind, self.text[:NAME_START] + "…", digest)
        if self.kind != "ssh":
            return RecipientName(self.kind, self.text)
        algorithm, key, *comment = self.text.split(None, 2)
        sha256 = base64.b64encode(hashlib.sha256(base64.b64decode(key)).digest()).decode().rstrip("=")
        return RecipientName("ssh", " ".join([algorithm, *comment]), f"SHA256:{sha256}")


@walled("an age recipient")
def parse_recipient(text: str, callbacks: PluginCallbacks | None = None) -> AgeRecipient:
    """A recipient from ``age1…`` or a line of ``id_ed25519.pub``; raises UsageError, Unsupported (no such plugin)."""
    text = text.strip()
    if text.startswith("ssh-"):
        return AgeRecipient(text, "ssh", _parsed(pyrage.ssh.Recipient.from_str, text))
    if text.startswith("age1tagpq1"):
        return AgeRecipient(text, "tag", _parsed(pyrage.tagpq.Recipient.from_str, text))
    if text.startswith("age1tag1"):
        return AgeRecipient(text, "tag", _parsed(pyrage.tag.Recipient.from_str, text))
    if text.startswith("age1") and "1" in text[4:]:
        return AgeRecipient(text, "plugin", _plugin_recipient(text, callbacks or PluginCallbacks()))
    return AgeRecipient(text, "x25519", _parsed(pyrage.x25519.Recipient.from_str, text))


def _parsed(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except pyrage.RecipientError as error:
        raise UsageError(
            f"{text[:70]!r} is no age recipient: {error}",
            hint="a recipient is age1…, an ssh-ed25519 or ssh-rsa public key, or the file of an X.509 certificate",
        ) from None


def _plugin_recipient(text: str, callbacks: PluginCallbacks) -> Any:
    recipient = _parsed(pyrage.plugin.Recipient.from_str, text)
    return _plugin(lambda: pyrage.plugin.RecipientPluginV1(recipient.plugin(), [recipient], [], callbacks), recipient)


def _plugin(start: Callable[[], Any], of: Any) -> Any:
    try:
        with fixed_path():
            return start()
    except (pyrage.EncryptError, pyrage.DecryptError, pyrage.RecipientError, pyrage.IdentityError) as error:
        name = of.plugin()
        raise Unsupported(
            f"the age plugin {name!r} cannot be used: {error}", hint=f"install age-plugin-{name}"
        ) from None


@dataclass(frozen=True, slots=True)
class AgeEnvelope:
    """An age file for these recipients. Age authenticates its header and its payload: no binding is needed."""

    recipients: Sequence[AgeRecipient]
    binding: str = ""

    def seal(self, plaintext: bytes) -> bytes:
        """A binary age file; raises Unsupported when a plugin fails."""
        try:
            return bytes(pyrage.encrypt(plaintext, [r.handle for r in self.recipients]))
        except pyrage.EncryptError as error:
            raise Unsupported(
                f"age could not seal the packet: {error}", hint="check the plugin and its device"
            ) from None


def make_envelope(recipients: Sequence[AgeRecipient]) -> Envelope:
    """An envelope for all of these recipients: any one of them opens it."""
    return AgeEnvelope(recipients)


@dataclass(frozen=True, slots=True)
class AgeIdentity:
    """A private key that age knows; ``handle`` is pyrage's object for it."""

    handle: Any = field(repr=False)
    scheme: Scheme = "age"

    def unseal(self, sealed: bytes) -> Unsealed:
        """Open an age file, binary or armored."""
        try:
            return Unsealed(SecretBytes(pyrage.decrypt(without_space(sealed), [self.handle])))
        except pyrage.DecryptError as error:
            if str(error) == NO_MATCH:
                raise KeyRejected("the packet is not sealed to this age identity") from None
            raise DamagedInput(f"the sealed packet is damaged: {error}", hint="take another copy of it") from None


def parse_identities(text: str, callbacks: PluginCallbacks | None = None) -> list[AgeIdentity]:
    """The identities in an age identity file (``#`` begins a comment); raises UsageError, Unsupported."""
    lines = [line.strip() for line in text.splitlines()]
    return [_identity(line, callbacks or PluginCallbacks()) for line in lines if line and not line.startswith("#")]


def _identity(line: str, callbacks: PluginCallbacks) -> AgeIdentity:
    try:
        if line.startswith("AGE-PLUGIN-"):
            identity = pyrage.plugin.Identity.from_str(line)
            start = lambda: pyrage.plugin.IdentityPluginV1(identity.plugin(), [identity], callbacks)  # noqa: E731
            return AgeIdentity(_plugin(start, identity))
        return AgeIdentity(pyrage.x25519.Identity.from_str(line))
    except pyrage.IdentityError:
        hint = "identity files have lines that begin with AGE-SECRET-KEY-1 or AGE-PLUGIN-"
        if line.startswith("AGE-SECRET-KEY-PQ-"):
            raise Unsupported("post-quantum age identities need age 1.3", hint="open it with: age -d") from None
        raise UsageError("the identity file has a line that is no age identity", hint=hint) from None


def ssh_identity(data: bytes) -> AgeIdentity:
    """The identity of an unencrypted ssh private key, ed25519 or RSA; raises Unsupported for others."""
    try:
        return AgeIdentity(pyrage.ssh.Identity.from_buffer(data))
    except pyrage.IdentityError as error:
        raise Unsupported(
            f"this ssh key cannot be used: {error}",
            hint="age knows ssh-ed25519 and ssh-rsa; take the passphrase off a copy with: ssh-keygen -p -f COPY",
        ) from None
