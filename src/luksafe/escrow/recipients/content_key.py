"""How the content key of a CMS message reaches a certificate: RSA key transport (RFC 8017) and ECDH (RFC 5753)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from asn1crypto import algos, cms, core, keys, x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from luksafe.errors import Unsupported
from luksafe.escrow.recipients.certificates import PrivateKey, PublicKey
from luksafe.secret import SecretBytes

HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha224": hashes.SHA224,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
# dhSinglePass-stdDH and -cofactorDH (the same on curves of cofactor 1), by the hash of their KDF
AGREEMENTS = {
    "1.3.133.16.840.63.0.2": "sha1",
    "1.3.132.1.11.0": "sha224",
    "1.3.132.1.11.1": "sha256",
    "1.3.132.1.11.2": "sha384",
    "1.3.132.1.11.3": "sha512",
    "1.3.133.16.840.63.0.3": "sha1",
    "1.3.132.1.14.0": "sha224",
    "1.3.132.1.14.1": "sha256",
    "1.3.132.1.14.2": "sha384",
    "1.3.132.1.14.3": "sha512",
}
STANDARD_DH_SHA256 = "1.3.132.1.11.1"
WRAP_BITS = {"aes128_wrap": 128, "aes192_wrap": 192, "aes256_wrap": 256}


class SharedInfo(core.Sequence):  # type: ignore[misc]
    """ECC-CMS-SharedInfo, RFC 5753 section 7.2: what the KDF is bound to."""

    _fields = [  # noqa: RUF012
        ("key_info", cms.KeyEncryptionAlgorithm),
        ("entity_u_info", core.OctetString, {"explicit": 0, "optional": True}),
        ("supp_pub_info", core.OctetString, {"explicit": 2}),
    ]


def wrap_content_key(content_key: SecretBytes, certificate: x509.Certificate, key: PublicKey) -> cms.RecipientInfo:
    """The RecipientInfo by which the owner of ``certificate`` gets the content key."""
    tbs = certificate["tbs_certificate"]
    issuer_and_serial = cms.IssuerAndSerialNumber({"issuer": tbs["issuer"], "serial_number": tbs["serial_number"]})
    if isinstance(key, RSAPublicKey):
        return cms.RecipientInfo(name="ktri", value=_transport(content_key, issuer_and_serial, key))
    return cms.RecipientInfo(name="kari", value=_agreement(content_key, issuer_and_serial, key))


def _transport(content_key: SecretBytes, issuer_and_serial: Any, key: RSAPublicKey) -> cms.KeyTransRecipientInfo:
    digest = {"algorithm": "sha256"}
    oaep = algos.RSAESOAEPParams(
        {"hash_algorithm": digest, "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": digest}}
    )
    scheme = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    return cms.KeyTransRecipientInfo(
        {
            "version": "v0",
            "rid": cms.RecipientIdentifier(name="issuer_and_serial_number", value=issuer_and_serial),
            "key_encryption_algorithm": {"algorithm": "rsaes_oaep", "parameters": oaep},
            "encrypted_key": key.encrypt(content_key.reveal(), scheme),
        }
    )


def _agreement(content_key: SecretBytes, issuer_and_serial: Any, key: Any) -> cms.KeyAgreeRecipientInfo:
    ephemeral = ec.generate_private_key(key.curve)
    point = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    wrap = cms.KeyEncryptionAlgorithm({"algorithm": "aes256_wrap"})
    shared = ephemeral.exchange(ec.ECDH(), key)
    kek = _derive(shared, "sha256", wrap, None)
    public = keys.PublicKeyInfo({"algorithm": {"algorithm": "ec"}, "public_key": keys.ECPointBitString(point)})
    return cms.KeyAgreeRecipientInfo(
        {
            "version": "v3",
            "originator": cms.OriginatorIdentifierOrKey(name="originator_key", value=public),
            "key_encryption_algorithm": {"algorithm": STANDARD_DH_SHA256, "parameters": wrap},
            "recipient_encrypted_keys": [
                {
                    "rid": cms.KeyAgreementRecipientIdentifier(
                        name="issuer_and_serial_number", value=issuer_and_serial
                    ),
                    "encrypted_key": aes_key_wrap(kek, content_key.reveal()),
                }
            ],
        }
    )


def _derive(shared: bytes, hash_name: str, wrap: cms.KeyEncryptionAlgorithm, ukm: bytes | None) -> bytes:
    bits = WRAP_BITS.get(wrap["algorithm"].native)
    if bits is None:
        raise Unsupported(f"CMS key wrapping by {wrap['algorithm'].native}", hint="open it with: openssl cms -decrypt")
    info = {"key_info": wrap, "supp_pub_info": bits.to_bytes(4, "big")} | (
        {} if ukm is None else {"entity_u_info": ukm}
    )
    return X963KDF(HASHES[hash_name](), bits // 8, SharedInfo(info).dump()).derive(shared)


def candidates(info: Any, key: PrivateKey, certificate: x509.Certificate | None) -> Iterator[SecretBytes]:
    """The content keys that ``key`` makes of a RecipientInfo: none, when it is for another certificate."""
    if isinstance(info, cms.KeyTransRecipientInfo) and isinstance(key, RSAPrivateKey):
        if _is_for(info["rid"], certificate):
            yield from _open_transport(info, key)
    elif isinstance(info, cms.KeyAgreeRecipientInfo) and isinstance(key, ec.EllipticCurvePrivateKey):
        for entry in info["recipient_encrypted_keys"]:
            if _is_for(entry["rid"], certificate):
                yield from _open_agreement(info, entry, key)


def _is_for(rid: Any, certificate: x509.Certificate | None) -> bool:
    """Whether an identifier names this certificate; without one every entry is worth a try."""
    if certificate is None:
        return True
    if rid.name == "issuer_and_serial_number":
        same_serial = rid.chosen["serial_number"].native == certificate.serial_number
        return bool(same_serial and rid.chosen["issuer"].dump() == certificate.issuer.dump())
    chosen = rid.chosen["subject_key_identifier"] if rid.name == "r_key_id" else rid.chosen
    return bool(chosen.native == certificate.key_identifier)


def _open_transport(info: Any, key: RSAPrivateKey) -> Iterator[SecretBytes]:
    algorithm = info["key_encryption_algorithm"]
    name = algorithm["algorithm"].native
    wrapped = info["encrypted_key"].native
    if name == "rsaes_pkcs1v15":
        content_key = open_pkcs1v15(wrapped, key)
        yield from [content_key] if content_key is not None else []
        return
    if name != "rsaes_oaep":
        raise Unsupported(f"CMS key transport by {name}", hint="open it with: openssl cms -decrypt")
    oaep = algorithm["parameters"]
    digest = HASHES[oaep["hash_algorithm"]["algorithm"].native]()
    mask = HASHES[oaep["mask_gen_algorithm"]["parameters"]["algorithm"].native]()
    label = oaep["p_source_algorithm"]["parameters"].native
    with suppress(ValueError, UnsupportedAlgorithm):
        yield SecretBytes(key.decrypt(wrapped, padding.OAEP(padding.MGF1(mask), digest, label or None)))


def open_pkcs1v15(wrapped: bytes, key: RSAPrivateKey) -> SecretBytes | None:
    """What RSAES-PKCS1-v1_5 (RFC 8017 section 7.2) wrapped; None when the padding says: not with this key.

    OpenSSL answers a wrong key with random bytes, to blind attackers who may ask again and again. Here nobody can, and
    the user has to be told that the key is wrong: so the padding is taken off by hand.
    """
    numbers = key.private_numbers()
    modulus = numbers.public_numbers.n
    value = int.from_bytes(wrapped, "big")
    if value >= modulus:
        return None
    block = pow(value, numbers.d, modulus).to_bytes(-(-key.key_size // 8), "big")
    end = block.find(0, 2)
    return SecretBytes(block[end + 1 :]) if block.startswith(b"\x00\x02") and end >= 10 else None


def _open_agreement(info: Any, entry: Any, key: ec.EllipticCurvePrivateKey) -> Iterator[SecretBytes]:
    algorithm = info["key_encryption_algorithm"]
    hash_name = AGREEMENTS.get(algorithm["algorithm"].dotted)
    if hash_name is None or info["originator"].name != "originator_key":
        raise Unsupported("this kind of CMS key agreement", hint="open it with: openssl cms -decrypt")
    try:
        point = info["originator"].chosen["public_key"].native
        public = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, point)
        wrap = algorithm["parameters"].parse(cms.KeyEncryptionAlgorithm)
        kek = _derive(key.exchange(ec.ECDH(), public), hash_name, wrap, info["ukm"].native)
        yield SecretBytes(aes_key_unwrap(kek, entry["encrypted_key"].native))
    except (ValueError, InvalidUnwrap):
        return
