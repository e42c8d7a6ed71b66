"""X.509 certificates as recipients, their private keys as identities; the sealed file is CMS."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from asn1crypto import cms as asn1_cms
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from luksafe.errors import DamagedInput, KeyRejected, UsageError
from luksafe.escrow.recipients import cms
from luksafe.escrow.recipients.certificates import (
    KeyFile,
    fingerprint,
    load_certificates,
    public_key,
)
from luksafe.escrow.recipients.content_key import candidates, wrap_content_key
from luksafe.escrow.recipients.interface import RecipientName, Unsealed
from luksafe.secret import SecretBytes

CONTENT_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class X509Recipient:
    """The owner of a certificate; ``chain`` holds the issuers' certificates that came with it."""

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()
    scheme: Literal["cms"] = "cms"

    @property
    def name(self) -> RecipientName:
        """The subject, and the SHA-256 of the certificate."""
        subject = self.certificate.subject.rfc4514_string() or "a certificate without a name"
        return RecipientName("x509", subject, fingerprint(self.certificate))

    def issuer_and_serial(self) -> tuple[bytes, bytes]:
        """The issuer's name as DER, and the bytes of the serial number, as they stand in the certificate."""
        tbs = _asn1(self.certificate)["tbs_certificate"]
        return bytes(tbs["issuer"].dump()), bytes(tbs["serial_number"].contents)


def load_recipient(data: bytes) -> X509Recipient:
    """The recipient in a certificate file, PEM (with its chain behind it) or DER; raises DamagedInput, Unsupported."""
    first, *chain = load_certificates(data)
    return X509Recipient(first, tuple(chain))


@dataclass(frozen=True, slots=True)
class CmsEnvelope:
    """A CMS message for these recipients. Their part is not authenticated by CMS: ``binding`` is its SHA-256."""

    recipient_infos_der: bytes = field(repr=False)
    content_key: SecretBytes
    nonce: bytes

    @property
    def binding(self) -> str:
        """SHA-256 of the recipients' part, in hexadecimal."""
        return hashlib.sha256(self.recipient_infos_der).hexdigest()

    def seal(self, plaintext: bytes) -> bytes:
        """An AuthEnvelopedData, DER."""
        ciphertext, tag = cms.encrypt_content(self.content_key, self.nonce, plaintext)
        return cms.build_message(self.recipient_infos_der, self.nonce, ciphertext, tag)


def seal_enveloped(plaintext: bytes, recipient: X509Recipient) -> bytes:
    """The older EnvelopedData that NSS reads: RSA PKCS#1 v1.5, AES-256-CBC, no authentication; raises UsageError."""
    if not isinstance(public_key(recipient.certificate), RSAPublicKey):
        raise UsageError("only RSA certificates can be used in this format", hint="give an RSA certificate")
    builder = pkcs7.PKCS7EnvelopeBuilder().set_data(plaintext).add_recipient(recipient.certificate)
    builder = builder.set_content_encryption_algorithm(AES256)
    return builder.encrypt(Encoding.DER, [pkcs7.PKCS7Options.Binary])


def make_envelope(recipients: Sequence[X509Recipient], random_bytes: Callable[[int], bytes]) -> CmsEnvelope:
    """An envelope for all of these recipients, any one of whom opens it, with a fresh content key and nonce."""
    content_key = SecretBytes(random_bytes(CONTENT_KEY_BYTES))
    infos = asn1_cms.RecipientInfos(
        [
            wrap_content_key(content_key, _asn1(recipient.certificate), public_key(recipient.certificate))
            for recipient in recipients
        ]
    )
    return CmsEnvelope(bytes(infos.dump()), content_key, random_bytes(cms.NONCE_BYTES))


@dataclass(frozen=True, slots=True)
class X509Identity:
    """A private key; with its certificate only what is addressed to that is tried."""

    key_file: KeyFile = field(repr=False)
    scheme: Literal["cms"] = "cms"

    def rsa_key(self) -> RSAPrivateKey:
        """The key, when it is RSA; else raises KeyRejected."""
        if not isinstance(self.key_file.key, RSAPrivateKey):
            raise KeyRejected("this needs an RSA private key", hint="give the key of the certificate it is sealed to")
        return self.key_file.key

    def unseal(self, sealed: bytes) -> Unsealed:
        """Open a CMS message; the binding is empty where the message is not written as CmsEnvelope writes it."""
        message = cms.parse_message(sealed)
        damage: DamagedInput | None = None
        try:
            for content_key in self._content_keys(message):
                try:
                    return Unsealed(cms.decrypt_content(message, content_key), _binding(message))
                except DamagedInput as error:  # the key of another recipient looks the same as damage
                    damage = error
        except cms.PARSE_ERRORS:
            raise DamagedInput("the recipients' part of the CMS message is damaged") from None
        if damage is not None:
            raise damage
        raise KeyRejected(f"none of the {len(message.recipient_infos)} recipients of the packet has this private key")

    def _content_keys(self, message: cms.CmsMessage) -> list[SecretBytes]:
        certificate = self.key_file.certificate
        own = _asn1(certificate) if certificate is not None else None
        return [key for info in message.recipient_infos for key in candidates(info, self.key_file.key, own)]


def _binding(message: cms.CmsMessage) -> str:
    """SHA-256 of the recipients' part, if all the rest is exactly what is written round it; else empty."""
    if message.tag is None or message.algorithm != "aes256_gcm":
        return ""
    again = cms.build_message(message.recipient_infos_der, message.iv, message.ciphertext, message.tag)
    return hashlib.sha256(message.recipient_infos_der).hexdigest() if again == message.encoded else ""


def _asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
