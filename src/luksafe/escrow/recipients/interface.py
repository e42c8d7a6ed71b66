"""Recipients and identities: whom a packet is sealed to, and what opens it. One pair for every stock format."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Literal, Protocol, Self

from luksafe.errors import DamagedInput
from luksafe.escrow.json_members import Json, Members
from luksafe.secret import SecretBytes

# Recipients of one scheme share one file; age allows a passphrase only alone, CMS knows certificates only.
Scheme = Literal["age", "passphrase", "cms"]
SCHEMES: tuple[Scheme, ...] = ("age", "passphrase", "cms")
SUFFIX: dict[Scheme, str] = {"age": ".age", "passphrase": ".age", "cms": ".p7m"}
OPEN_WITH: dict[Scheme, str] = {
    "age": "age --decrypt -i IDENTITY-FILE PACKET.age",
    "passphrase": "age --decrypt PACKET.age",
    "cms": "openssl cms -decrypt -inform DER -inkey KEY.pem -in PACKET.p7m",
}


@dataclass(frozen=True, slots=True)
class RecipientName:
    """Who a recipient is, in public: ``kind`` (x25519, ssh, tag, plugin, passphrase, x509), a name, a fingerprint."""

    kind: str
    name: str
    fingerprint: str = ""

    def to_json(self) -> Json:
        """One entry of ``recipients``."""
        document = {"kind": self.kind, "name": self.name}
        return document | ({"fingerprint": self.fingerprint} if self.fingerprint else {})

    @classmethod
    def from_json(cls, document: Json) -> Self:
        """Read what ``to_json`` wrote; raises DamagedInput."""
        members = Members(document, "a recipient")
        return cls(members.text("kind"), members.text("name"), members.text("fingerprint", ""))


class Recipient(Protocol):
    """Somebody a packet can be sealed to."""

    @property
    def scheme(self) -> Scheme:
        """The stock format of the files sealed to it."""
        ...

    @property
    def name(self) -> RecipientName:
        """How the public part names it."""
        ...


class Envelope(Protocol):
    """A sealed file about to be made. ``binding`` has to stand in the plaintext: it covers what the format does not."""

    @property
    def binding(self) -> str:
        """Empty where the format authenticates all of itself, as age does."""
        ...

    def seal(self, plaintext: bytes) -> bytes:
        """The sealed file; once for each envelope."""
        ...


@dataclass(frozen=True, slots=True)
class Unsealed:
    """The plaintext of a sealed file, and the binding that it must repeat (see Envelope)."""

    plaintext: SecretBytes
    binding: str = ""


class Identity(Protocol):
    """Something that opens what was sealed to its recipient."""

    @property
    def scheme(self) -> Scheme:
        """The stock format it opens."""
        ...

    def unseal(self, sealed: bytes) -> Unsealed:
        """Open a sealed file; raises KeyRejected when it is for somebody else, DamagedInput, Unsupported."""
        ...


AGE_INTRO = b"age-encryption.org/"
AGE_ARMOR = b"-----BEGIN AGE ENCRYPTED FILE-----"
HEADER_START = 96  # the version line and, of a file sealed with a passphrase, its only stanza's arguments
MAX_SPACE = 1024
CMS_PEM = (b"-----BEGIN CMS-----", b"-----BEGIN PKCS7-----")


def scheme_of(sealed: bytes) -> Scheme:
    """Which stock format a sealed file has; raises DamagedInput for any other."""
    start = age_header_start(sealed)
    if start.startswith(AGE_INTRO):
        return "passphrase" if b"\n-> scrypt " in start else "age"
    if sealed.startswith((b"\x30", *CMS_PEM)):
        return "cms"
    raise DamagedInput(
        "this is no sealed packet: neither an age file nor CMS",
        hint="a packet of volume_key is read with: luksafe escrow import FILE",
    )


def without_space(sealed: bytes) -> bytes:
    """An armored age file without the white space that may stand round it; any other file as it is."""
    return sealed.strip() if sealed[:MAX_SPACE].lstrip().startswith(AGE_ARMOR) else sealed


def age_header_start(sealed: bytes) -> bytes:
    """The first line or two of an age file's header, out of the armor; empty for other files."""
    if sealed.startswith(AGE_INTRO):
        return sealed[:HEADER_START]
    lines = without_space(sealed)[:1024].splitlines()
    if lines[:1] != [AGE_ARMOR]:
        return b""
    try:
        return base64.b64decode(b"".join(lines[1:3]))[:HEADER_START]
    except binascii.Error:
        return b""
