"""Packets: sealing, opening, and the binding between the two parts."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import escrow_samples as samples
import pytest

from luksafe.errors import DamagedInput, KeyRejected, Unsupported, UsageError
from luksafe.escrow.packet import MAX_PACKET_BYTES, Packet, Shares, open_packet, read_packet, seal
from luksafe.escrow.recipients.certificates import KeyFile
from luksafe.escrow.recipients.files import load_identities, read_recipients
from luksafe.escrow.recipients.passphrase import Passphrase
from luksafe.escrow.recipients.x509 import X509Identity, X509Recipient
from luksafe.secret import SecretBytes

AGE_KEY = samples.age_identity()


def age_packet(**changes: object) -> Packet:
    return seal(samples.contents(**changes), read_recipients(str(AGE_KEY.to_public()).encode()), os.urandom)


def age_identities() -> list:
    return load_identities(str(AGE_KEY).encode())


def assert_same(packet: Packet, identities: list) -> None:
    assert packet.public is not None
    opened = open_packet(read_packet(packet.sealed, packet.public.to_bytes()), identities)
    assert opened.contents == samples.contents()
    assert opened.public == packet.public


def test_age_packet_opens() -> None:
    packet = age_packet()
    assert packet.suffix == ".age"
    assert_same(packet, age_identities())


def test_ssh_packet_opens() -> None:
    packet = seal(samples.contents(), read_recipients(samples.ssh_public(samples.ssh_key())), os.urandom)
    assert_same(packet, load_identities(samples.ssh_private(samples.ssh_key())))


@pytest.mark.parametrize(
    "key", [samples.rsa_key(), samples.ec_key(), samples.ec_key("secp384r1")], ids=["rsa", "p256", "p384"]
)
def test_certificate_packet_opens(key: object) -> None:
    certificate = samples.certificate(key)
    packet = seal(samples.contents(), read_recipients(samples.pem(certificate)), os.urandom)
    assert packet.suffix == ".p7m"
    assert_same(packet, load_identities(samples.pem(key)))
    assert_same(packet, [X509Identity(KeyFile(key, certificate))])


def test_passphrase_packet_opens() -> None:
    packet = seal(samples.contents(), [Passphrase(SecretBytes(b"packet pass"))], os.urandom)
    assert packet.scheme == "passphrase"
    assert_same(packet, [Passphrase(SecretBytes(b"packet pass"))])
    with pytest.raises(KeyRejected, match="does not open with this passphrase"):
        open_packet(packet, [Passphrase(SecretBytes(b"packet Pass"))])


def test_every_recipient_opens_it() -> None:
    keys = [samples.rsa_key(), samples.ec_key()]
    recipients = [X509Recipient(samples.certificate(key, f"officer {n}")) for n, key in enumerate(keys)]
    packet = seal(samples.contents(), recipients, os.urandom)
    assert [name.name for name in packet.public.recipients] == ["CN=officer 0", "CN=officer 1"]
    for key in keys:
        assert_same(packet, load_identities(samples.pem(key)))


def test_the_first_identity_that_fits_opens() -> None:
    other = load_identities(samples.ssh_private(samples.ssh_key())) + load_identities(samples.pem(samples.rsa_key()))
    assert_same(age_packet(), other + age_identities())


def test_wrong_key_and_no_key_are_rejected() -> None:
    packet = age_packet()
    with pytest.raises(KeyRejected, match="not sealed to this age identity"):
        open_packet(packet, load_identities(samples.ssh_private(samples.ssh_key())))
    with pytest.raises(KeyRejected) as caught:
        open_packet(packet, load_identities(samples.pem(samples.rsa_key())))
    assert str(AGE_KEY.to_public()) in caught.value.hint
    with pytest.raises(KeyRejected) as caught:
        open_packet(Packet(packet.sealed), [])
    assert caught.value.hint == "give an age identity file or an ssh private key"


def test_schemes_do_not_mix() -> None:
    passphrase = Passphrase(SecretBytes(b"x"))
    age = read_recipients(str(AGE_KEY.to_public()).encode())
    for recipients in ([passphrase, passphrase], [passphrase, *age], []):
        with pytest.raises(UsageError):
            seal(samples.contents(), recipients, os.urandom)


def test_a_packet_is_small() -> None:
    contents = samples.contents(secrets=samples.contents().secrets[:1])
    recipients = [read_recipients(samples.pem(samples.certificate(samples.rsa_key())))]
    recipients.append(read_recipients(str(AGE_KEY.to_public()).encode()))
    assert max(len(seal(contents, r, os.urandom).sealed) for r in recipients) <= 2048


def test_public_part_holds_no_secret_and_little_else() -> None:
    public = age_packet().public.to_bytes()
    document = json.loads(public)
    names = "luksafe_packet id uuid format kinds host when scheme recipients sealed_sha256 open_with"
    assert list(document) == names.split()
    for hidden in (samples.KEY.hex(), "S676NX0R123456", "aes", "escrow save", samples.PASSPHRASE):
        assert hidden.encode() not in public


def test_altered_public_part_is_refused_without_a_key() -> None:
    packet = age_packet()
    public = packet.public.to_bytes()
    for altered in (public.replace(b"  ", b" ", 1), public + b" ", public.replace(b'"kinds"', b'"kindz"')):
        with pytest.raises(DamagedInput):
            read_packet(packet.sealed, altered)


def test_other_sealed_part_is_refused_without_a_key() -> None:
    with pytest.raises(DamagedInput, match="not the one that the public part speaks of"):
        read_packet(age_packet().sealed, age_packet().public.to_bytes())


def test_public_part_that_says_other_things_is_refused_on_opening() -> None:
    packet = age_packet()
    lie = replace(packet.public, host="another-host").to_bytes()
    with pytest.raises(DamagedInput, match="says other things"):
        open_packet(read_packet(packet.sealed, lie), age_identities())
    assert open_packet(read_packet(packet.sealed), age_identities()).public == packet.public


def test_shares_are_named_in_public() -> None:
    shares = Shares(3, 5, "academic acid")
    packet = seal(samples.contents(), read_recipients(str(AGE_KEY.to_public()).encode()), os.urandom, shares)
    assert read_packet(packet.sealed, packet.public.to_bytes()).public.shares == shares
    assert open_packet(packet, age_identities()).public.shares == shares


def test_header_image_comes_back() -> None:
    packet = age_packet(header_gz=b"\x1f\x8b" + bytes(5000))
    assert open_packet(packet, age_identities()).contents.header_gz == b"\x1f\x8b" + bytes(5000)


def test_unknown_members_survive_sealing_anew() -> None:
    packet = age_packet(unknown={"added_later": [1, {"a": "b"}]})
    contents = open_packet(packet, age_identities()).contents
    assert contents.unknown == {"added_later": [1, {"a": "b"}]}
    again = seal(contents, read_recipients(samples.ssh_public(samples.ssh_key())), os.urandom)
    opened = open_packet(again, load_identities(samples.ssh_private(samples.ssh_key())))
    assert opened.contents == contents


def test_files_that_are_no_packet() -> None:
    for data in (b"", b"hello", b"\0volume_key\0", b"-----BEGIN AGE ENCRYPTED FILE-----", bytes(MAX_PACKET_BYTES + 1)):
        with pytest.raises(DamagedInput):
            read_packet(data)
    with pytest.raises(DamagedInput, match="bytes is none"):
        read_packet(age_packet().sealed, b" " * (2 << 20))


def test_an_age_file_of_something_else_is_no_packet() -> None:
    recipient = read_recipients(str(AGE_KEY.to_public()).encode())[0]
    for text, error in ((b"hello", DamagedInput), (b"[]", DamagedInput), (b'{"luksafe_packet":2}', Unsupported)):
        sealed = samples.pyrage.encrypt(text, [recipient.handle])
        with pytest.raises(error):
            open_packet(read_packet(sealed), age_identities())


def test_armored_packet_opens() -> None:
    sealed = samples.pyrage.encrypt(
        samples.pyrage.decrypt(age_packet().sealed, [AGE_KEY]), [AGE_KEY.to_public()], armored=True
    )
    packet = read_packet(b"\n" + sealed + b"\r\n")
    assert packet.scheme == "age"
    assert open_packet(packet, age_identities()).contents == samples.contents()


def test_secrets_stay_out_of_repr() -> None:
    packet = age_packet(header_gz=b"header image")
    shown = repr(packet) + repr(open_packet(packet, age_identities())) + repr(age_identities())
    for secret in (samples.KEY.hex(), samples.PASSPHRASE, "header image", str(AGE_KEY)):
        assert secret not in shown
