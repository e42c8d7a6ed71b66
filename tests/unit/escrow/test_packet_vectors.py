"""The packets in tests/vectors/packet open, to what their README says."""

from __future__ import annotations

import gzip
from pathlib import Path

import escrow_samples as samples
import pytest

from luksafe.escrow.canary import CipherParameters, check_canary
from luksafe.escrow.packet import OpenPacket, open_packet, read_packet
from luksafe.escrow.recipients.files import load_identities
from luksafe.escrow.recipients.interface import Identity
from luksafe.escrow.recipients.passphrase import Passphrase
from luksafe.escrow.sharing import ShareCollector
from luksafe.secret import SecretBytes

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "packet"


def opened(name: str, identities: list[Identity]) -> OpenPacket:
    sealed = next(path for path in (VECTORS / f"{name}.age", VECTORS / f"{name}.p7m") if path.exists())
    return open_packet(read_packet(sealed.read_bytes(), (VECTORS / f"{name}.json").read_bytes()), identities)


@pytest.mark.parametrize("name", ["x25519", "cms-rsa", "cms-p256", "with-header"])
def test_vectors_with_a_key_file(name: str) -> None:
    contents = opened(name, load_identities((VECTORS / f"{name}.key").read_bytes())).contents
    header = gzip.decompress(contents.header_gz) if contents.header_gz else b""
    assert header == (b"a compact header image would stand here\n" if name == "with-header" else b"")
    expected = samples.contents(packet_id=contents.packet_id, header_gz=contents.header_gz)
    assert contents == expected


def test_passphrase_vector() -> None:
    passphrase = Passphrase(SecretBytes((VECTORS / "passphrase.txt").read_bytes()))
    assert opened("passphrase", [passphrase]).contents == samples.contents(packet_id="00000000000000a5")


def test_shares_vector() -> None:
    packet = read_packet((VECTORS / "shares.age").read_bytes(), (VECTORS / "shares.json").read_bytes())
    collector = ShareCollector(packet.public.shares)
    for number in (5, 1, 4):
        assert not collector.is_complete
        assert collector.add((VECTORS / f"shares.share{number}").read_text()).number == number
    contents = open_packet(packet, [collector.passphrase()]).contents
    assert contents == samples.contents(packet_id="00000000000000a6")


def test_luks1_vector() -> None:
    contents = opened("ssh-luks1", load_identities((VECTORS / "ssh-luks1.key").read_bytes())).contents
    secret = contents.secret("passphrase")
    assert (secret.value.reveal(), secret.of) == (b"\x00\xff key file bytes \n", 3)
    assert contents.secret("volume-key") is None
    volume = contents.volume
    assert (volume.format, volume.cipher, volume.data_offset) == ("luks1", "aes-cbc-essiv:sha256", 2097152)
    assert (volume.hash, volume.digest_id, volume.key_bits) == ("sha1", "0", 256)
    parameters = CipherParameters.of(volume)
    assert check_canary(contents.canary, parameters, SecretBytes(bytes(range(32)))).fits
