"""crypttab: every line that makes sense, none that does not, and the devices that it names."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luksafe.device.crypttab import CrypttabEntry, find_device, parse_crypttab

UUID = "0c0ffee0-1111-2222-3333-444444444444"


def test_the_lines_of_real_files() -> None:
    text = """
# <target name> <source device>  <key file>  <options>
root\tUUID=0c0ffee0-1111-2222-3333-444444444444 none luks,discard
  #data /dev/sdb
data PARTUUID=abc-01 /etc/keys/my\\040key luks,header=/boot/data\\040header.img,keyfile-offset=8
bare /dev/sdc
swap /dev/sdd /dev/urandom swap,cipher=aes-xts-plain64,size=512 and more
usb LABEL=usb - header=/hdr:UUID=1234-ABCD,tpm2-pcrs=7\\,9
orphan
"""
    root, data, bare, swap, usb = parse_crypttab(text)
    assert root == CrypttabEntry("root", f"UUID={UUID}", "", (("luks", ""), ("discard", "")))
    assert root.header_file == ""
    assert data.key_file == "/etc/keys/my key"
    assert (data.header_file, data.header_device) == ("/boot/data header.img", "")
    assert data.option("keyfile-offset") == "8"
    assert data.option("size") is None
    assert bare == CrypttabEntry("bare", "/dev/sdc")
    assert swap.option("cipher") == "aes-xts-plain64"
    assert (usb.key_file, usb.header_file, usb.header_device) == ("", "/hdr", "UUID=1234-ABCD")
    assert usb.option("tpm2-pcrs") == "7,9"


@given(st.text(max_size=300) | st.text(alphabet=" \t\n#\\,=:/header07", max_size=300))
def test_any_text_is_read(text: str) -> None:
    for entry in parse_crypttab(text):
        assert entry.name
        assert entry.device
        assert isinstance(entry.header_file, str)


def test_devices_by_path_and_by_tag(tmp_path: Path, loop_device: Callable[..., str]) -> None:
    image = tmp_path / "image"
    with image.open("wb") as out:
        out.truncate(8 << 20)
    device = loop_device(image)
    subprocess.run(["mkfs.ext2", "-q", "-U", UUID, "-L", "my disk", device], check=True)
    assert find_device(device) == device
    for spec in (f"UUID={UUID}", f'UUID="{UUID}"', "LABEL=my disk"):
        found = find_device(spec)
        assert found
        assert Path(found).resolve() == Path(device)


@pytest.mark.parametrize("spec", ["UUID=", "UUID=none-such", "LABEL=../../null", "/dev/none", "X=1", "", "UUID=\0"])
def test_no_such_device(spec: str) -> None:
    assert find_device(spec) == ""
