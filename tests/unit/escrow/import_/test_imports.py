"""Secrets that other tools left: dumps, raw keys, tables; and what an unknown file is."""

from __future__ import annotations

from typing import Any

import escrow_samples as samples
import pytest

from luksafe.errors import DamagedInput
from luksafe.escrow.import_.csv_export import read_csv
from luksafe.escrow.import_.detect import detect
from luksafe.escrow.import_.luksdump import is_luksdump, read_luksdump
from luksafe.escrow.import_.raw_key import is_raw_key, read_raw_key
from luksafe.escrow.parameters import VolumeParameters
from luksafe.escrow.recovery_key import is_recovery_key, read_recovery_key

DUMP = """LUKS header information for l2.img
Cipher name:   \taes
Cipher mode:   \txts-plain64
Payload offset:\t32768
UUID:          \t3c181e2e-0cd2-4267-bd6d-f10071a746fb
MK bits:       \t256
MK dump:\t10 d1 64 0b 9c 30 b3 47 e9 7f a4 da 16 26 d0 27\x20
\t\ta1 26 66 83 44 02 a6 32 79 c2 f2 ea 2b 04 75 72\x20
"""
KEY = bytes.fromhex("10d1640b9c30b347e97fa4da1626d027a12666834402a63279c2f2ea2b047572")


def test_luksdump() -> None:
    found = read_luksdump(DUMP)
    assert found.secret.reveal() == KEY
    assert (found.kind, found.cipher, found.key_bits, found.data_offset) == (
        "volume-key",
        "aes-xts-plain64",
        256,
        16777216,
    )
    assert found.uuid == "3c181e2e-0cd2-4267-bd6d-f10071a746fb"
    assert read_luksdump("$ cryptsetup\nMK dump: 00 01\n$ ls").secret.reveal() == b"\0\1"


@pytest.mark.parametrize(
    "text", ["", "MK dump:", DUMP.replace("256", "512"), DUMP.replace("a1 26", "zz 26"), "UUID: x"]
)
def test_dumps_that_are_none(text: str) -> None:
    with pytest.raises(DamagedInput):
        read_luksdump(text)


def test_raw_keys() -> None:
    assert read_raw_key(KEY).secret.reveal() == KEY
    assert read_raw_key(KEY.hex().encode() + b"\n").secret.reveal() == KEY
    for data in (b"", b"password\n", bytes(33), bytes(4096)):
        assert not is_raw_key(data)
        with pytest.raises(DamagedInput):
            read_raw_key(data)


def test_crypt_server_table() -> None:
    table = "serial,username,computername,secret_type,secret,date_escrowed\r\n" \
        f"C02,ann,ann-laptop,recovery_key,{RECOVERY},2024-05-01\r\n" \
        "C03,bob,\"bob, laptop\",password,pass word,2024-05-02\r\n" \
        "C04,eve,eve-phone,unlock_pin,1234,2024-05-03\r\n"  # fmt: skip
    ann, bob = read_csv(table.encode())
    assert (ann.hostname, ann.serial, ann.secret.reveal().decode()) == ("ann-laptop", "C02", RECOVERY)
    assert ann.source == "recovery key (CSV)"
    assert (bob.hostname, bob.kind, bob.secret.reveal()) == ("bob, laptop", "passphrase", b"pass word")


RECOVERY = "-".join(["cbdefghi"] * 8)


def test_fleet_table() -> None:
    table = (
        "\ufeffHost ID,Hostname,Hardware serial,UUID,Disk encryption key\n"
        "7,lap,SER,4C4C,secret words\n8,none,SER2,4C4D,\n"
    )
    (found,) = read_csv(table.encode())
    assert (found.hostname, found.serial, found.secret.reveal()) == ("lap", "SER", b"secret words")
    assert found.uuid == ""  # the host's, not the volume's


def test_a_table_by_hand() -> None:
    table = (
        f"volume_uuid,kind,key,slot\n{samples.UUID},volume-key,{KEY.hex()},\n{samples.UUID},passphrase,x,4\n,short\n"
    )
    key, words = read_csv(table.encode())
    assert (key.kind, key.secret.reveal(), key.uuid, key.keyslot) == ("volume-key", KEY, samples.UUID, None)
    assert (words.kind, words.keyslot) == ("passphrase", 4)


@pytest.mark.parametrize(
    "data", [b"", b"a,b\n1,2\n", b"\xff", b'secret\n"open', b"kind,key\nvolume-key,zz\n", bytes(65 << 20)], ids=range(6)
)
def test_tables_that_are_none(data: bytes) -> None:
    with pytest.raises(DamagedInput):
        read_csv(data)


def test_what_is_known_becomes_parameters() -> None:
    volume = read_luksdump(DUMP).parameters()
    assert (volume.format, volume.cipher, volume.data_offset, volume.key_bits) == (
        "unknown",
        "aes-xts-plain64",
        16777216,
        256,
    )
    assert not volume.is_complete
    assert samples.volume().is_complete
    assert VolumeParameters.from_json(volume.to_json()) == volume
    assert read_raw_key(KEY).parameters().segments == {}


def test_detect() -> None:
    assert detect(DUMP.encode()) == "luksdump"
    assert is_luksdump(DUMP)
    assert detect(RECOVERY.encode()) == "recovery-key"
    assert detect(KEY) == "raw-key"
    assert detect(b"\0volume_key\0") == "volume_key"
    assert detect(b"age-encryption.org/v1\n-> X25519") == "packet"
    assert detect(b"\x30\x82\x01\x02" + bytes(500)) == "packet"
    assert detect(b"host,secret\n") == "csv"
    assert detect(b"hello") == "unknown"
    assert detect(b"\xff" * 500) == "unknown"


def test_what_systemd_cryptenroll_made(corpus: Any) -> None:
    typed = corpus.cases["g2-systemd-recovery"]["unlock"][1]["passphrase"]
    assert is_recovery_key(typed)
    assert read_recovery_key(typed.upper().replace("-", " ")).reveal().decode() == typed
