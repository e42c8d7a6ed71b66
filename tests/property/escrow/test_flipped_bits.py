"""Any flipped bit of a packet, a public part or a share is noticed; what outside bytes hold never breaks a reader."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache

import escrow_samples as samples
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luksafe.errors import DamagedInput, KeyRejected, LuksafeError, Unsupported
from luksafe.escrow.contents import Contents
from luksafe.escrow.import_.csv_export import read_csv
from luksafe.escrow.import_.detect import detect
from luksafe.escrow.import_.luksdump import read_luksdump
from luksafe.escrow.json_members import parse_object
from luksafe.escrow.packet import Packet, open_packet, read_packet, seal
from luksafe.escrow.public_part import PublicPart
from luksafe.escrow.recipients.files import load_identities, read_recipients
from luksafe.escrow.recipients.interface import Identity
from luksafe.escrow.share_words import wordlist
from luksafe.escrow.sharing import read_share, split_passphrase
from luksafe.escrow.volume_key import openpgp
from luksafe.escrow.volume_key.model import VolumeKeyPacket
from luksafe.escrow.volume_key.packet import Keys, write_cleartext, write_for_certificate, write_secret_wrapped
from luksafe.escrow.volume_key.packet import open_packet as open_volume_key_packet
from luksafe.secret import SecretBytes

NOTICED = (DamagedInput, KeyRejected, Unsupported)
QUICK = settings(max_examples=150, deadline=None)


@cache
def case(name: str) -> tuple[Packet, list[Identity]]:
    """A packet of each scheme that opens fast, to two recipients, with the identity of one."""
    if name == "age":
        recipients = read_recipients(
            f"{samples.age_identity().to_public()}\n".encode() + samples.ssh_public(samples.ssh_key())
        )
        return seal(samples.contents(), recipients, os.urandom), load_identities(str(samples.age_identity()).encode())
    certificates = [samples.certificate(samples.rsa_key(), "one"), samples.certificate(samples.ec_key(), "two")]
    recipients = [read_recipients(samples.pem(certificate))[0] for certificate in certificates]
    key = samples.rsa_key() if name == "cms-rsa" else samples.ec_key()
    return seal(samples.contents(), recipients, os.urandom), load_identities(samples.pem(key))


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("name", ["age", "cms-rsa", "cms-ec"])
@QUICK
@given(data=st.data())
def test_sealed_part_alone(name: str, data: st.DataObject) -> None:
    packet, identities = case(name)
    bit = data.draw(st.integers(0, len(packet.sealed) * 8 - 1))
    with pytest.raises(NOTICED):
        open_packet(read_packet(flipped(packet.sealed, bit)), identities)


@pytest.mark.parametrize(
    "name", ["age", *(pytest.param(name, marks=pytest.mark.slow) for name in ("cms-rsa", "cms-ec"))]
)
def test_every_single_bit_of_a_packet(name: str) -> None:
    """CMS authenticates only its content, which therefore repeats what stands before it: no bit may slip through."""
    packet, identities = case(name)
    for bit in range(len(packet.sealed) * 8):
        with pytest.raises(NOTICED):
            open_packet(read_packet(flipped(packet.sealed, bit)), identities)


@QUICK
@given(data=st.data())
def test_public_part(data: st.DataObject) -> None:
    """Without a key where the file no longer fits its own spelling or the sealed part; else on opening."""
    packet, identities = case("age")
    public = packet.public.to_bytes()
    bit = data.draw(st.integers(0, len(public) * 8 - 1))
    with pytest.raises(NOTICED):
        open_packet(read_packet(packet.sealed, flipped(public, bit)), identities)


@QUICK
@given(bit=st.integers(0, 1 << 20))
def test_flipped_sealed_part_is_noticed_without_a_key(bit: int) -> None:
    packet, _ = case("age")
    with pytest.raises(DamagedInput):
        read_packet(flipped(packet.sealed, bit % (len(packet.sealed) * 8)), packet.public.to_bytes())


SPLIT = split_passphrase(2, 3, os.urandom)


@QUICK
@given(changes=st.dictionaries(st.integers(0, 19), st.integers(0, 1023), min_size=1, max_size=3))
def test_up_to_three_wrong_words_in_a_share(changes: dict[int, int]) -> None:
    words, names = list(SPLIT.shares[0].words), list(wordlist())
    for at, word in changes.items():
        words[at] = names[word]
    if words == list(SPLIT.shares[0].words):
        return
    with pytest.raises(DamagedInput):
        read_share(" ".join(words))


def test_every_single_bit_of_a_share() -> None:
    """A share is 200 bits, ten to a word."""
    names = list(wordlist())
    for bit in range(200):
        words = list(SPLIT.shares[0].words)
        words[bit // 10] = names[wordlist()[words[bit // 10]] ^ 1 << bit % 10]
        with pytest.raises(DamagedInput):
            read_share(" ".join(words))


VOLUME_KEY = VolumeKeyPacket(
    "volume-key", SecretBytes(bytes(32)), "h", cipher_name="aes", cipher_mode="x", key_bits=256
)
KEYS = Keys(SecretBytes(b"x"), load_identities(samples.pem(samples.rsa_key()))[0], SecretBytes(bytes(32)))


@cache
def volume_key_packets() -> list[bytes]:
    from luksafe.escrow.recipients.x509 import X509Recipient

    recipient = X509Recipient(samples.certificate(samples.rsa_key()))
    return [
        write_cleartext(VOLUME_KEY),
        write_for_certificate(VOLUME_KEY, recipient),
        write_secret_wrapped(VOLUME_KEY, recipient),
    ]


@pytest.mark.parametrize("number", range(3))
@QUICK
@given(data=st.data())
def test_volume_key_packets_never_break_the_reader(number: int, data: st.DataObject) -> None:
    """These formats authenticate nothing: a flipped bit may pass, but never as another kind of exception."""
    packet = volume_key_packets()[number]
    changed = flipped(packet, data.draw(st.integers(0, len(packet) * 8 - 1)))
    cut = changed[: data.draw(st.integers(0, len(changed)))] if data.draw(st.booleans()) else changed
    with suppress(LuksafeError):
        open_volume_key_packet(cut, KEYS)


@cache
def openpgp_message() -> bytes:
    """A message with the shortest iteration, so that hundreds of them are opened quickly."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openpgp, "SLOWEST_COUNT", 0)
        return openpgp.encrypt(bytes(100), SecretBytes(b"x"), lambda count: bytes(range(count)))


@QUICK
@given(bit=st.integers(0, 8 * 135 - 1))
def test_openpgp_notices_flipped_bits(bit: int) -> None:
    """In the encrypted part, with its length; before it stand the KDF's parameters, which give another key."""
    message = openpgp_message()
    with pytest.raises(NOTICED):
        openpgp.decrypt(flipped(message, (len(message) - 135) * 8 + bit), SecretBytes(b"x"))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    """No reader of outside bytes raises anything but our errors."""
    detect(data)
    text = data.decode("latin-1")
    readers = [
        lambda: read_packet(data, data),
        lambda: PublicPart.from_bytes(data),
        lambda: read_share(text),
        lambda: read_luksdump("MK dump:" + text),
        lambda: read_csv(data),
        lambda: read_csv(b"secret,kind\n" + data),
        lambda: read_recipients(data),
        lambda: load_identities(data),
        lambda: open_volume_key_packet(b"\0volume_key" + data, KEYS),
        lambda: open_volume_key_packet(
            b"\0volume_key\0\x42\x01\x35\xf4\x80" + len(data).to_bytes(4, "big") + data, KEYS
        ),
        lambda: KEYS.identity.unseal(b"\x30" + data),
    ]
    for reader in readers:
        with suppress(LuksafeError):
            reader()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
DOCUMENT = samples.contents().to_json()
NAMES = ("id", "secrets", "volume", "canary", "host", "device", "made", "header_gz")


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(NAMES), value=JSON, deeper=st.sampled_from(["", "segments", "digests", "0", "when", "hex"]))
def test_any_json_in_a_packet(name: str, value: object, deeper: str) -> None:
    document = DOCUMENT | {}
    if deeper and isinstance(document.get(name), dict):
        document[name] = document[name] | {deeper: value}
    else:
        document[name] = value
    with suppress(LuksafeError):
        volume = Contents.from_json(document).volume
        assert (volume.sector_size, volume.data_offset, volume.iv_tweak) >= (0, 0, 0)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_json_document(data: bytes) -> None:
    with suppress(LuksafeError):
        Contents.from_json(parse_object(data, "test"))
