"""A packet's contents, and throwaway keys of every kind, for the tests of escrow."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pyrage
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from luksafe.escrow.canary import CipherParameters, make_canary
from luksafe.escrow.contents import Contents, Made, Secret
from luksafe.escrow.parameters import VolumeParameters
from luksafe.secret import SecretBytes

UUID = "84ab3fa9-6647-4ff9-abfc-95cfaa54d215"
WHEN = datetime(2026, 11, 2, 10, 0, 0, tzinfo=UTC)
KEY = bytes(range(64))
PASSPHRASE = "correct horse ß"


def volume(**changes: Any) -> VolumeParameters:
    """A LUKS2 volume with 16 MiB of header; ``changes`` go into its segment."""
    segment = {
        "type": "crypt",
        "offset": "16777216",
        "size": "dynamic",
        "iv_tweak": "0",
        "encryption": "aes-xts-plain64",
        "sector_size": 512,
    }
    digest = {
        "type": "pbkdf2",
        "keyslots": ["0", "1"],
        "segments": ["0"],
        "hash": "sha256",
        "iterations": 216647,
        "salt": base64.b64encode(bytes(32)).decode(),
        "digest": base64.b64encode(bytes(range(32))).decode(),
    }
    config = {"json_size": "12288", "keyslots_size": "16744448"}
    return VolumeParameters("luks2", UUID, "root", "", 16384, 512, {"0": segment | changes}, {"0": digest}, config)


def contents(**changes: Any) -> Contents:
    """The contents of a packet that holds a volume key and a passphrase; ``changes`` replace fields."""
    parts: dict[str, Any] = {
        "packet_id": "0123456789abcdef",
        "volume": volume(),
        "secrets": (
            Secret("volume-key", SecretBytes(KEY), 0),
            Secret("passphrase", SecretBytes(PASSPHRASE.encode()), 1),
        ),
        "made": Made(WHEN, "root", "luksafe 0.1.0", "escrow save"),
        "host": "laptop-0042.example.org",
        "device": {
            "path": "/dev/nvme0n1p3",
            "model": "DISK MZVL21T0",
            "serial": "S676NX0R123456",
            "size_bytes": 10**12,
        },
        "canary": make_canary(CipherParameters("aes-xts-plain64"), SecretBytes(KEY)),
    }
    return Contents(**(parts | changes))


@cache
def age_identity() -> pyrage.x25519.Identity:
    """A fresh X25519 identity."""
    return pyrage.x25519.Identity.generate()


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """A fresh RSA key."""
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(curve: str = "secp256r1") -> ec.EllipticCurvePrivateKey:
    """A fresh elliptic-curve key."""
    return ec.generate_private_key({"secp256r1": ec.SECP256R1, "secp384r1": ec.SECP384R1}[curve]())


@cache
def ssh_key() -> ed25519.Ed25519PrivateKey:
    """A fresh ssh key."""
    return ed25519.Ed25519PrivateKey.generate()


def certificate(
    key: Any,
    name: str = "Escrow Officer",
    *,
    issuer: x509.Certificate | None = None,
    issuer_key: Any = None,
    days: int = 36500,
    usage: x509.KeyUsage | None = None,
) -> x509.Certificate:
    """A certificate, self-signed unless it gets an issuer."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = WHEN - timedelta(days=400)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if usage is not None:
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(issuer_key or key, hashes.SHA256())


def pem(item: Any, password: bytes | None = None) -> bytes:
    """A certificate or private key as PEM."""
    if isinstance(item, x509.Certificate):
        return item.public_bytes(serialization.Encoding.PEM)
    protection = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return item.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


def ssh_public(key: Any) -> bytes:
    """A line of authorized_keys."""
    line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return line + b" keeper@example.org"


def ssh_private(key: Any) -> bytes:
    """An unencrypted private key as ssh-keygen writes it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
