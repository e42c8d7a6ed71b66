"""X.509 certificates and private keys from files, and what is odd about a certificate. Oddities warn, never block."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key, load_pem_private_key, pkcs12

from luksafe.errors import DamagedInput, KeyRejected, Unsupported
from luksafe.secret import SecretBytes
from luksafe.wall import walled

PASSWORD_NEEDED = "password-needed"  # noqa: S105 - the code of an error
SMALLEST_RSA_BITS = 2048
_UNREADABLE = (ValueError, x509.InvalidVersion, UnsupportedAlgorithm)

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey
PublicKey = RSAPublicKey | EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A private key, and its certificate where the file has one."""

    key: PrivateKey
    certificate: x509.Certificate | None = None


@walled("a certificate")
def load_certificates(data: bytes) -> list[x509.Certificate]:
    """The certificates of a file, PEM or DER, the recipient's first; raises DamagedInput, Unsupported (key type)."""
    try:
        is_pem = b"-----BEGIN" in data
        certificates = x509.load_pem_x509_certificates(data) if is_pem else [x509.load_der_x509_certificate(data)]
    except _UNREADABLE:
        raise DamagedInput("this is no X.509 certificate", hint="give a certificate as PEM or DER") from None
    public_key(certificates[0])
    return certificates


def public_key(certificate: x509.Certificate) -> PublicKey:
    """The public key; raises Unsupported for one that packets cannot be sealed to."""
    try:
        key = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError) as error:
        raise Unsupported(f"the certificate's key cannot be used: {error}") from None
    if isinstance(key, RSAPublicKey | EllipticCurvePublicKey):
        return key
    raise Unsupported(
        f"a certificate with a key of type {type(key).__name__} cannot receive packets",
        hint="RSA and elliptic curve (P-256, P-384, P-521) certificates can",
    )


@walled("a private key")
def load_key_file(data: bytes, password: SecretBytes | None) -> KeyFile:
    """A private key from PEM, PKCS#8 DER or PKCS#12.

    Raises KeyRejected (code ``password-needed`` when one is missing), DamagedInput, Unsupported.
    """
    secret = None if password is None else password.reveal()
    if b"-----BEGIN" in data:
        return KeyFile(_checked(_load_pem(data, secret)), _certificate_in(data))
    try:
        return KeyFile(_checked(load_der_private_key(data, None)))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return _load_pkcs12(data, secret)


def _load_pem(data: bytes, password: bytes | None) -> object:
    try:
        return load_pem_private_key(data, password)
    except TypeError:  # a password and a key that needs none, or the other way round
        if password is None:
            raise _password_needed() from None
        return _load_pem(data, None)
    except ValueError:
        if password is None or b"ENCRYPTED" not in data:
            raise DamagedInput("this is no private key in PEM") from None
        raise KeyRejected("the password does not open the key file") from None
    except UnsupportedAlgorithm as error:
        raise Unsupported(f"the key file cannot be read: {error}") from None


def _load_pkcs12(data: bytes, password: bytes | None) -> KeyFile:
    try:
        with warnings.catch_warnings():  # NSS writes BER, which the library reads, but not without a word
            warnings.simplefilter("ignore")
            bundle = pkcs12.load_pkcs12(data, password)
    except (ValueError, UnsupportedAlgorithm) as error:
        if "password" not in str(error).lower():
            raise DamagedInput("this is neither a private key nor PKCS#12") from None
        if password is None:
            raise _password_needed() from None
        raise KeyRejected("the password does not open the PKCS#12 file") from None
    certificate = bundle.cert.certificate if bundle.cert else None
    return KeyFile(_checked(bundle.key), certificate)


def _password_needed() -> KeyRejected:
    return KeyRejected("the key file is protected with a password", code=PASSWORD_NEEDED)


def _checked(key: object) -> PrivateKey:
    if isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        return key
    raise Unsupported(f"a private key of type {type(key).__name__} opens no packet", hint="give an RSA or EC key")


def _certificate_in(data: bytes) -> x509.Certificate | None:
    """The certificate that stands in the same PEM file as the key, if any."""
    try:
        return x509.load_pem_x509_certificates(data)[0] if b"BEGIN CERTIFICATE" in data else None
    except _UNREADABLE:
        return None


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate in hexadecimal, as ``openssl x509 -fingerprint -sha256`` without the colons."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


@walled("a chain of certificates")
def oddities(certificates: Sequence[x509.Certificate], now: datetime) -> list[str]:
    """What is odd about the first certificate and the chain behind it, in sentences; empty when nothing is."""
    certificate = certificates[0]
    name = certificate.subject.rfc4514_string()
    found = []
    if now > certificate.not_valid_after_utc:
        found.append(f"{name}: the certificate expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
    if now < certificate.not_valid_before_utc:
        found.append(f"{name}: the certificate is valid only from {certificate.not_valid_before_utc:%Y-%m-%d}")
    key = public_key(certificate)
    if isinstance(key, RSAPublicKey) and key.key_size < SMALLEST_RSA_BITS:
        found.append(f"{name}: an RSA key of {key.key_size} bits is weak")
    if not _may_encrypt(certificate):
        found.append(f"{name}: its key usage does not include encryption")
    return found + _chain_oddities(certificates, now)


def _may_encrypt(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return True
    return usage.key_encipherment or usage.key_agreement or usage.data_encipherment


def _chain_oddities(certificates: Sequence[x509.Certificate], now: datetime) -> list[str]:
    """Each certificate has to be signed by the next one; the last may be its own issuer."""
    found = []
    for lower, upper in pairwise(certificates):
        if not _is_issuer(upper, lower):
            found.append(f"{lower.subject.rfc4514_string()}: not signed by {upper.subject.rfc4514_string()}")
        if now > upper.not_valid_after_utc:
            found.append(f"{upper.subject.rfc4514_string()}: this issuer's certificate has expired")
    last = certificates[-1]
    if last.issuer != last.subject:
        found.append(f"{last.subject.rfc4514_string()}: its issuer's certificate was not given, so it was not checked")
    return found


def _is_issuer(upper: x509.Certificate, lower: x509.Certificate) -> bool:
    try:
        lower.verify_directly_issued_by(upper)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
