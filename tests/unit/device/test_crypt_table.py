"""dm-crypt table lines: those of real kernels, and anything at all."""

from __future__ import annotations

import contextlib
import json
import traceback

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from luksafe.device.crypt_table import MappingKey, parse_crypt_table
from luksafe.errors import DamagedInput
from luksafe.secret import SecretBytes

KEY = bytes(range(1, 65))


def test_key_in_the_table() -> None:
    line = bytearray(f"0 126976 crypt aes-xts-plain64 {KEY.hex()} 0 254:0 4096 1 allow_discards\n".encode())
    table = parse_crypt_table(line)
    line[:] = bytes(len(line))  # the caller may wipe its line: nothing of ours looks into it
    assert (table.start_sector, table.length_sectors, table.cipher) == (0, 126976, "aes-xts-plain64")
    assert (table.iv_offset_sectors, table.device, table.offset_sectors) == (0, "254:0", 4096)
    assert table.flags == ("allow_discards",)
    assert table.sector_size == 512
    assert table.key.place == "table"
    assert table.key.secret == SecretBytes(KEY)


def test_key_in_the_keyring_and_every_option() -> None:
    description = "cryptsetup:da2e026e-7ea9-45e1-b4e8-10599a03d714-d0"
    table = parse_crypt_table(
        f"8 90 crypt capi:authenc(hmac(sha256),xts(aes))-plain64 :96:logon:{description} 7 /dev/sdb 32768 "
        "9 same_cpu_crypt submit_from_crypt_cpus no_read_workqueue no_write_workqueue sector_size:4096 "
        "iv_large_sectors integrity:32:aead integrity_key_size:32 news:1"
    )
    assert table.key == MappingKey("keyring", 96, "logon", description)
    assert table.cipher == "capi:authenc(hmac(sha256),xts(aes))-plain64"
    assert (table.sector_size, table.iv_large_sectors) == (4096, True)
    assert (table.integrity_tag_bytes, table.integrity_type, table.integrity_key_bytes) == (32, "aead", 32)
    assert table.flags == ("same_cpu_crypt", "submit_from_crypt_cpus", "no_read_workqueue", "no_write_workqueue")
    assert table.other_options == ("news:1",)


def test_a_wiped_key_and_none() -> None:
    assert parse_crypt_table("0 8 crypt a-b " + "0" * 128 + " 0 1:2 0").key == MappingKey("zeros", 64)
    assert parse_crypt_table("0 8 crypt cipher_null-ecb - 0 1:2 0").key == MappingKey("none", 0)


def test_the_key_is_shown_nowhere() -> None:
    line = f"0 8 crypt aes-xts-plain64 {KEY.hex()} 0 254:0 4096"
    table = parse_crypt_table(line)
    shown = repr(table) + str(table) + json.dumps(table.to_json()) + repr(table.key)
    assert KEY.hex()[:16] not in shown
    with pytest.raises(DamagedInput) as caught:
        parse_crypt_table(line.replace(" 254:0", "").replace("40", "4x"))
    text = "".join(traceback.format_exception(caught.value)) + caught.value.hint
    assert KEY.hex()[:16] not in text


GOOD = f"0 8 crypt aes-xts-plain64 {KEY.hex()} 0 254:0 4096"
BAD = {
    "empty": "",
    "other target": "0 8 linear 254:0 0",
    "too short": "0 8 crypt aes-xts-plain64 - 0 254:0",
    "start": GOOD.replace("0 8", "-1 8", 1),
    "big number": GOOD.replace("4096", "18446744073709551616"),
    "long number": GOOD.replace("4096", "1" * 5000),
    "odd key": GOOD.replace("0102", "012", 1),
    "key of other letters": GOOD.replace("0102", "0g02", 1),
    "long key": GOOD.replace("0102", "0102" * 4096, 1),
    "keyring key": GOOD.replace(KEY.hex(), ":64:logon"),
    "keyring type": GOOD.replace(KEY.hex(), ":64:big:x"),
    "option count": GOOD + " 2 allow_discards",
    "option count missing": GOOD + " allow_discards",
    "sector size": GOOD + " 1 sector_size:",
    "integrity": GOOD + " 1 integrity:x:aead",
    "long line": GOOD + " " * 70000,
}


@pytest.mark.parametrize("fault", BAD)
def test_what_is_no_table_is_refused(fault: str) -> None:
    with pytest.raises(DamagedInput, match="not a dm-crypt table line"):
        parse_crypt_table(BAD[fault])


@given(st.binary(max_size=300) | st.text(alphabet="0123456789 :-crypt", max_size=300))
@example(GOOD)
def test_anything_is_read_or_refused(line: bytes | str) -> None:
    with contextlib.suppress(DamagedInput):
        parse_crypt_table(line)


@given(st.data())
def test_a_good_line_with_one_change_is_read_or_refused(data: st.DataObject) -> None:
    line = bytearray((GOOD + " 3 allow_discards sector_size:4096 integrity:32:aead").encode())
    line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DamagedInput):
        parse_crypt_table(line)
