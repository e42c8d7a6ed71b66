"""Certificates as recipients: CMS that we write, CMS that others write, and what is odd about a certificate."""

from __future__ import annotations

import os
from datetime import timedelta

import escrow_samples as samples
import pytest
from asn1crypto import cms as asn1_cms
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.ciphers.algorithms import AES128, AES256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, pkcs7, pkcs12

from luksafe.errors import DamagedInput, KeyRejected, Unsupported, UsageError
from luksafe.escrow.recipients import cms
from luksafe.escrow.recipients.certificates import KeyFile, fingerprint, load_certificates, load_key_file, oddities
from luksafe.escrow.recipients.content_key import open_pkcs1v15
from luksafe.escrow.recipients.x509 import X509Identity, X509Recipient, load_recipient, make_envelope, seal_enveloped
from luksafe.secret import SecretBytes

RSA = samples.rsa_key()
EC = samples.ec_key()
RSA_CERTIFICATE = samples.certificate(RSA, "officer one")
EC_CERTIFICATE = samples.certificate(EC, "officer two")
PASSWORD = SecretBytes(b"key file password")


def usage(**allowed: bool) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    names += ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: allowed.get(name, False) for name in names})


def message(*certificates: x509.Certificate) -> bytes:
    return make_envelope([X509Recipient(c) for c in certificates], os.urandom).seal(b"text")


def identity(key: object, certificate: x509.Certificate | None = None) -> X509Identity:
    return X509Identity(KeyFile(key, certificate))


def test_what_is_written_is_standard() -> None:
    info = asn1_cms.ContentInfo.load(message(RSA_CERTIFICATE, EC_CERTIFICATE))
    assert info["content_type"].native == "authenticated_enveloped_data"
    assert [r.name for r in info["content"]["recipient_infos"]] == ["ktri", "kari"]
    assert (
        info["content"]["auth_encrypted_content_info"]["content_encryption_algorithm"]["algorithm"].native
        == "aes256_gcm"
    )


def test_each_opens_with_and_without_its_certificate() -> None:
    sealed = message(RSA_CERTIFICATE, EC_CERTIFICATE)
    for key, certificate in ((RSA, RSA_CERTIFICATE), (EC, EC_CERTIFICATE)):
        for own in (None, certificate):
            unsealed = identity(key, own).unseal(sealed)
            assert unsealed.plaintext.reveal() == b"text"
            assert len(unsealed.binding) == 64


def test_another_key_is_rejected() -> None:
    other = samples.rsa_key(3072)
    with pytest.raises(KeyRejected, match="none of the 2 recipients"):
        identity(other).unseal(message(RSA_CERTIFICATE, EC_CERTIFICATE))
    with pytest.raises(KeyRejected):
        identity(RSA, samples.certificate(RSA, "same key, other name")).unseal(message(RSA_CERTIFICATE))
    with pytest.raises(KeyRejected):
        identity(samples.ec_key("secp384r1")).unseal(message(EC_CERTIFICATE))


def test_an_altered_envelope_loses_its_binding() -> None:
    sealed = message(RSA_CERTIFICATE, EC_CERTIFICATE)
    altered = sealed.replace(b"officer two", b"officer 2wo")
    before, after = identity(RSA).unseal(sealed), identity(RSA).unseal(altered)
    assert after.plaintext == before.plaintext
    assert after.binding != before.binding


def test_pem_is_read() -> None:
    from asn1crypto import pem

    sealed = message(RSA_CERTIFICATE)
    assert identity(RSA).unseal(pem.armor("CMS", sealed)).binding == identity(RSA).unseal(sealed).binding


@pytest.mark.parametrize("cipher", [AES128, AES256])
def test_older_messages_are_read(cipher: type) -> None:
    builder = pkcs7.PKCS7EnvelopeBuilder().set_data(b"text").add_recipient(RSA_CERTIFICATE)
    sealed = builder.set_content_encryption_algorithm(cipher).encrypt(Encoding.DER, [pkcs7.PKCS7Options.Binary])
    unsealed = identity(RSA, RSA_CERTIFICATE).unseal(sealed)
    assert (unsealed.plaintext.reveal(), unsealed.binding) == (b"text", "")
    with pytest.raises(KeyRejected):
        identity(samples.rsa_key(3072)).unseal(sealed)


def test_only_rsa_seals_the_older_way() -> None:
    assert identity(RSA).unseal(seal_enveloped(b"old", X509Recipient(RSA_CERTIFICATE))).plaintext.reveal() == b"old"
    with pytest.raises(UsageError):
        seal_enveloped(b"old", X509Recipient(EC_CERTIFICATE))
    with pytest.raises(KeyRejected):
        identity(EC).rsa_key()


def test_damage_is_told_from_a_wrong_key() -> None:
    sealed = message(RSA_CERTIFICATE)
    for damaged in (
        sealed[:-1] + bytes([sealed[-1] ^ 1]),
        seal_enveloped(b"old", X509Recipient(RSA_CERTIFICATE))[:-1] + b"\0",
    ):
        with pytest.raises(DamagedInput):
            identity(RSA).unseal(damaged)


@pytest.mark.parametrize(
    "data", [b"", b"\x30", b"\x30\x80", b"\x30\x03abc", b"-----BEGIN CMS-----\n", b"\x30\x84\xff\xff\xff\xff"]
)
def test_parsing_is_total(data: bytes) -> None:
    with pytest.raises(DamagedInput):
        cms.parse_message(data)


def test_other_cms_is_unsupported() -> None:
    signed = pkcs7.PKCS7SignatureBuilder().set_data(b"x").add_signer(RSA_CERTIFICATE, RSA, samples.hashes.SHA256())
    with pytest.raises(Unsupported, match="signed_data"):
        cms.parse_message(signed.sign(Encoding.DER, []))


def test_padding_by_hand() -> None:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    wrapped = RSA.public_key().encrypt(b"content key", PKCS1v15())
    assert open_pkcs1v15(wrapped, RSA).reveal() == b"content key"
    assert open_pkcs1v15(wrapped, samples.rsa_key(3072)) is None
    assert open_pkcs1v15(b"\xff" * 256, RSA) is None


def test_recipients_from_files() -> None:
    issuer_key = samples.ec_key("secp384r1")
    issuer = samples.certificate(issuer_key, "root")
    chain = samples.pem(RSA_CERTIFICATE) + samples.pem(issuer)
    recipient = load_recipient(chain)
    assert recipient.chain == (issuer,)
    assert (recipient.name.kind, recipient.name.name) == ("x509", "CN=officer one")
    assert recipient.name.fingerprint == fingerprint(RSA_CERTIFICATE)
    assert load_recipient(RSA_CERTIFICATE.public_bytes(Encoding.DER)).certificate == RSA_CERTIFICATE
    with pytest.raises(DamagedInput):
        load_certificates(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(Unsupported, match="Ed25519"):
        key = ed25519.Ed25519PrivateKey.generate()
        subject = x509.Name([])
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        builder = builder.serial_number(1).not_valid_before(samples.WHEN).not_valid_after(samples.WHEN)
        load_recipient(builder.sign(key, None).public_bytes(Encoding.PEM))


def test_nothing_odd() -> None:
    good = samples.certificate(RSA, usage=usage(key_encipherment=True))
    assert oddities([good], samples.WHEN) == []


def test_oddities_are_sentences() -> None:
    short = samples.certificate(RSA, "short", days=399)
    assert oddities([short], samples.WHEN) == ["CN=short: the certificate expired on 2026-11-01"]
    early = oddities([RSA_CERTIFICATE], samples.WHEN - timedelta(days=500))
    assert early == ["CN=officer one: the certificate is valid only from 2025-09-28"]
    weak = samples.certificate(samples.rsa_key(1024), "weak", usage=usage(digital_signature=True))
    assert oddities([weak], samples.WHEN) == [
        "CN=weak: an RSA key of 1024 bits is weak",
        "CN=weak: its key usage does not include encryption",
    ]


def test_chains_are_walked() -> None:
    root_key = samples.ec_key("secp384r1")
    root = samples.certificate(root_key, "root")
    leaf = samples.certificate(RSA, "leaf", issuer=root, issuer_key=root_key)
    assert oddities([leaf, root], samples.WHEN) == []
    assert "issuer's certificate was not given" in oddities([leaf], samples.WHEN)[0]
    stranger = samples.certificate(EC, "root")
    assert oddities([leaf, stranger], samples.WHEN) == ["CN=leaf: not signed by CN=root"]
    old = samples.certificate(root_key, "root", days=1)
    assert oddities([leaf, old], samples.WHEN) == ["CN=root: this issuer's certificate has expired"]


def test_key_files() -> None:
    protected = samples.pem(RSA, PASSWORD.reveal())
    assert load_key_file(protected, PASSWORD).key.private_numbers() == RSA.private_numbers()
    assert load_key_file(samples.pem(EC), PASSWORD).key.private_numbers() == EC.private_numbers()
    both = load_key_file(samples.pem(RSA) + samples.pem(RSA_CERTIFICATE), None)
    assert both.certificate == RSA_CERTIFICATE
    from cryptography.hazmat.primitives.serialization import PrivateFormat

    der = EC.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert load_key_file(der, None).key.private_numbers() == EC.private_numbers()
    with pytest.raises(KeyRejected) as caught:
        load_key_file(protected, None)
    assert caught.value.code == "password-needed"
    with pytest.raises(KeyRejected, match="does not open the key file"):
        load_key_file(protected, SecretBytes(b"wrong"))
    with pytest.raises(DamagedInput):
        load_key_file(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", None)
    with pytest.raises(Unsupported, match="Ed25519"):
        load_key_file(samples.pem(samples.ssh_key()), None)


def test_pkcs12() -> None:
    bundle = pkcs12.serialize_key_and_certificates(
        b"officer", RSA, RSA_CERTIFICATE, None, BestAvailableEncryption(PASSWORD.reveal())
    )
    found = load_key_file(bundle, PASSWORD)
    assert found.certificate == RSA_CERTIFICATE
    with pytest.raises(KeyRejected) as caught:
        load_key_file(bundle, None)
    assert caught.value.code == "password-needed"
    with pytest.raises(KeyRejected, match="does not open the PKCS#12"):
        load_key_file(bundle, SecretBytes(b"wrong"))
    with pytest.raises(DamagedInput):
        load_key_file(b"\x30junk", None)
    only_certificate = pkcs12.serialize_key_and_certificates(b"x", None, RSA_CERTIFICATE, None, NoEncryption())
    with pytest.raises(Unsupported):
        load_key_file(only_certificate, None)
