"""Every packet that Debian's volume_key made opens with the right secret; every broken one is refused, and why."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import load_corpus

from luksafe.errors import DamagedInput, KeyRejected
from luksafe.escrow.recipients.files import load_identities
from luksafe.escrow.volume_key.packet import (
    Keys,
    PacketFormat,
    is_volume_key_packet,
    open_packet,
    packet_format,
    read_metadata,
    write_cleartext,
)
from luksafe.secret import SecretBytes

CASES = sorted(i for i, c in load_corpus().cases.items() if c["family"] == "volume_key") if load_corpus() else []
FORMATS = {
    "Unencrypted": PacketFormat.CLEARTEXT,
    "Public key-encrypted": PacketFormat.ASYMMETRIC,
    "Passphrase-encrypted": PacketFormat.PASSPHRASE,
    "Only secrets public key-encrypted": PacketFormat.ASYMMETRIC_WRAP_SECRET_ONLY,
}


def keys_of(corpus: Any, case: str) -> Keys:
    expected = corpus.cases[case]["packet"]
    password = expected.get("packet_passphrase")
    identity = None
    if "key.p12" in corpus.cases[case]["files"]:
        p12 = SecretBytes(expected["p12_password"].encode())
        identity = load_identities(corpus.data(case, "key.p12"), p12)[0]
    return Keys(passphrase=SecretBytes(password.encode()) if password else None, identity=identity)


@pytest.mark.parametrize("case", [c for c in CASES if "-bad-" not in c])
def test_packets_open(corpus: Any, case: str) -> None:
    expected = corpus.cases[case]["packet"]
    data = corpus.data(case, "packet")
    packet = open_packet(data, keys_of(corpus, case))
    assert packet_format(data) == FORMATS[expected["packet_format"]]
    assert packet.hostname == expected["hostname"]
    assert packet.volume_format == expected["volume_format"]
    assert packet.volume_uuid == expected["volume_uuid"]
    assert packet.volume_label == expected.get("volume_label", "")
    assert packet.volume_path == expected["volume_path"]
    if packet.kind == "volume-key":
        assert packet.secret.view.hex().upper() == expected["data_encryption_key_hex"]
        assert packet.cipher == f"{expected['cipher_name']}-{expected['cipher_mode']}"
        assert str(packet.key_bits) == expected["key_bits"]
    else:
        assert packet.secret.reveal().decode() == expected["passphrase"]
        slot = None if packet.passphrase_slot is None else str(packet.passphrase_slot)
        assert slot == expected.get("passphrase_slot")


@pytest.mark.parametrize("case", [c for c in CASES if "-bad-" in c])
def test_broken_packets_are_damaged_not_keyless(corpus: Any, case: str) -> None:
    with pytest.raises(DamagedInput):
        open_packet(corpus.data(case, "packet"), keys_of(corpus, case))


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.endswith("cleartext") and "-bad-" not in c] + ["vk-upstream-symmetric"]
)
def test_cleartext_is_written_byte_for_byte_as_volume_key_does(corpus: Any, case: str) -> None:
    data = corpus.data(case, "packet")
    assert write_cleartext(open_packet(data, Keys())) == data


@pytest.mark.parametrize("case", [c for c in CASES if "-bad-" not in c])
def test_metadata_without_a_key(corpus: Any, case: str) -> None:
    data = corpus.data(case, "packet")
    metadata = read_metadata(data)
    if packet_format(data) in (PacketFormat.ASYMMETRIC, PacketFormat.PASSPHRASE):
        assert metadata is None
    else:
        assert metadata.volume_uuid == corpus.cases[case]["packet"]["volume_uuid"]
        assert metadata.secret is None


@pytest.mark.parametrize(
    "case", [c for c in CASES if "-bad-" not in c and "cleartext" not in c and "upstream" not in c]
)
def test_wrong_keys_are_rejected(corpus: Any, case: str) -> None:
    import escrow_samples as samples

    data = corpus.data(case, "packet")
    wrong = Keys(SecretBytes(b"not it"), load_identities(samples.pem(samples.rsa_key()))[0])
    for keys in (wrong, Keys()):
        with pytest.raises(KeyRejected):
            open_packet(data, keys)


def test_other_files_are_no_packets() -> None:
    assert not is_volume_key_packet(b"\0volume_ke")
    with pytest.raises(DamagedInput):
        packet_format(b"\0volume_key" + bytes(2 << 20))
