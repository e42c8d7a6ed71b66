"""Recipients and identities from what a user gives: a key typed out, or a file of any kind that is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import cast

from luksafe.errors import DamagedInput, KeyRejected, Unsupported, UsageError
from luksafe.escrow.recipients import age
from luksafe.escrow.recipients.age import AgeRecipient, PluginCallbacks
from luksafe.escrow.recipients.interface import AGE_ARMOR, AGE_INTRO, Envelope, Identity, Recipient
from luksafe.escrow.recipients.passphrase import Passphrase
from luksafe.extras import install_hint
from luksafe.secret import SecretBytes
from luksafe.wall import walled

MAX_FILE_BYTES = 1 << 20
SSH_PRIVATE = b"-----BEGIN OPENSSH PRIVATE KEY-----"
RSA_PRIVATE = b"-----BEGIN RSA PRIVATE KEY-----"


@walled("a file of recipients")
def read_recipients(data: bytes, callbacks: PluginCallbacks | None = None) -> list[Recipient]:
    """The recipients in a file: one X.509 certificate (with its chain), or lines of age recipients and ssh keys.

    Raises UsageError, DamagedInput, Unsupported.
    """
    _check_size(data)
    if data.startswith(b"\x30") or b"-----BEGIN CERTIFICATE-----" in data:
        return [_x509().load_recipient(data)]
    lines = [line.strip() for line in _text(data).splitlines()]
    found = [age.parse_recipient(line, callbacks) for line in lines if line and not line.startswith("#")]
    if not found:
        raise UsageError("the recipients file names nobody", hint="write one recipient on each line, such as age1…")
    return list(found)


def make_envelope(recipients: Sequence[Recipient], random_bytes: Callable[[int], bytes]) -> Envelope:
    """One envelope for all of these recipients; raises UsageError when no stock format holds them together."""
    schemes = {recipient.scheme for recipient in recipients}
    if len(schemes) != 1 or (schemes == {"passphrase"} and len(recipients) != 1):
        raise UsageError(
            "no stock format holds these recipients together",
            hint="seal one packet for the age keys, one for the certificates, and one for each passphrase",
        )
    if schemes == {"age"}:
        return age.make_envelope(cast("Sequence[AgeRecipient]", recipients))
    if schemes == {"passphrase"}:
        return cast("Passphrase", recipients[0])
    return cast("Envelope", _x509().make_envelope(recipients, random_bytes))


@walled("a key file")
def load_identities(
    data: bytes, password: SecretBytes | None = None, callbacks: PluginCallbacks | None = None
) -> list[Identity]:
    """The identities in a file: age (also sealed with a passphrase), ssh private key, PEM private key, PKCS#12.

    Raises KeyRejected (its code is ``password-needed`` when one has to be asked for), UsageError, DamagedInput,
    Unsupported.
    """
    _check_size(data)
    if data.startswith((AGE_INTRO, AGE_ARMOR)):
        return list(age.parse_identities(_text(_open_identity_file(data, password)), callbacks))
    if SSH_PRIVATE in data:
        return [age.ssh_identity(data)]
    if b"-----BEGIN" in data or data.startswith(b"\x30"):
        return _key_file(data, password)
    return list(age.parse_identities(_text(data), callbacks))


def _open_identity_file(data: bytes, password: SecretBytes | None) -> bytes:
    if password is None:
        raise KeyRejected("the identity file is sealed with a passphrase", code="password-needed")
    return Passphrase(password).unseal(data).plaintext.reveal()


def _key_file(data: bytes, password: SecretBytes | None) -> list[Identity]:
    """A private key opens CMS; an RSA key in the old PEM form may be meant as an ssh key too."""
    certificates = _certificates()
    found: list[Identity] = [_x509().X509Identity(certificates.load_key_file(data, password))]
    if RSA_PRIVATE in data and b"ENCRYPTED" not in data:
        found.append(age.ssh_identity(data))
    return found


def _x509() -> ModuleType:
    try:
        from luksafe.escrow.recipients import x509
    except ModuleNotFoundError as error:
        raise Unsupported(f"X.509 needs {error.name}", hint=install_hint("x509")) from None
    return x509


def _certificates() -> ModuleType:
    from luksafe.escrow.recipients import certificates

    return certificates


def _check_size(data: bytes) -> None:
    if len(data) > MAX_FILE_BYTES:
        raise DamagedInput(f"a key file of {len(data)} bytes is no key file", hint="give the key or certificate itself")


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise DamagedInput("the file holds neither age nor X.509 keys") from None
