"""What a user gives as recipient or identity: every kind of file is known by its content."""

from __future__ import annotations

import os
import sys

import escrow_samples as samples
import pyrage
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from luksafe.errors import DamagedInput, KeyRejected, Unsupported, UsageError
from luksafe.escrow.recipients.age import AgeIdentity
from luksafe.escrow.recipients.files import load_identities, make_envelope, read_recipients
from luksafe.escrow.recipients.x509 import X509Identity
from luksafe.secret import SecretBytes

AGE = samples.age_identity()


def test_recipient_files() -> None:
    text = f"# keepers\n{AGE.to_public()}\n\n{samples.ssh_public(samples.ssh_key()).decode()}\n".encode()
    assert [r.name.kind for r in read_recipients(text)] == ["x25519", "ssh"]
    assert [r.scheme for r in read_recipients(samples.pem(samples.certificate(samples.ec_key())))] == ["cms"]


def test_what_is_no_recipient_file() -> None:
    with pytest.raises(UsageError, match="names nobody"):
        read_recipients(b"# nobody\n")
    with pytest.raises(DamagedInput):
        read_recipients(b"\xff\xff")
    with pytest.raises(DamagedInput, match="no key file"):
        read_recipients(bytes(2 << 20))


def test_identity_files() -> None:
    assert [type(i) for i in load_identities(f"{AGE}\n".encode())] == [AgeIdentity]
    assert [type(i) for i in load_identities(samples.ssh_private(samples.ssh_key()))] == [AgeIdentity]
    assert [type(i) for i in load_identities(samples.pem(samples.ec_key()))] == [X509Identity]
    with pytest.raises(DamagedInput):
        load_identities(b"\xff\xfe")


def test_an_old_rsa_key_may_be_either() -> None:
    data = samples.rsa_key().private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    x509, ssh = load_identities(data)
    sealed = make_envelope(read_recipients(samples.ssh_public(samples.rsa_key())), os.urandom).seal(b"text")
    assert ssh.unseal(sealed).plaintext.reveal() == b"text"
    assert x509.scheme == "cms"


def test_identity_files_sealed_with_a_passphrase() -> None:
    sealed = pyrage.passphrase.encrypt(f"{AGE}\n".encode(), "words", armored=True)
    with pytest.raises(KeyRejected) as caught:
        load_identities(sealed)
    assert caught.value.code == "password-needed"
    packet = make_envelope(read_recipients(str(AGE.to_public()).encode()), os.urandom).seal(b"text")
    assert load_identities(sealed, SecretBytes(b"words"))[0].unseal(packet).plaintext.reveal() == b"text"


def test_without_asn1crypto_x509_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.startswith("luksafe.escrow.recipients.")]:
        if name.rsplit(".", 1)[-1] in ("x509", "cms", "content_key"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "asn1crypto", None)
    monkeypatch.delattr("luksafe.escrow.recipients.x509", raising=False)
    with pytest.raises(Unsupported) as caught:
        load_identities(samples.pem(samples.ec_key()))
    assert caught.value.hint.endswith("pip install asn1crypto")
