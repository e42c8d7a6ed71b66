"""Swap areas and hibernation images."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from unit.memory import planted
from unit.memory.codecs import compressor
from unit.memory.planted import PAGE

from luksafe.errors import DamagedInput
from luksafe.memory.detect import open_memory
from luksafe.memory.sources.hibernation import HIBERNATED, SWAP

BLOCK = 32 * PAGE
KEYS = {128: b"sixteen bytes ke", 256: b"thirty-two bytes make one AES key"[:32]}
PLACES = {0x5000: KEYS[128], BLOCK - 80: KEYS[256]}


def memory() -> bytes:
    data = bytearray(random.Random(2).randbytes(2 * BLOCK + 5 * PAGE))
    data[0x8000:0x18000] = bytes(0x10000)
    return bytes(planted.plant(data, PLACES))


def swap_area(pages: dict[int, bytes], *, signature: bytes, first_map: int = 0, flags: int = 0) -> bytes:
    area = bytearray((max(pages, default=0) + 1) * PAGE)
    for number, page in pages.items():
        area[number * PAGE : number * PAGE + len(page)] = page
    struct.pack_into("<QI", area, PAGE - 32, first_map, flags)
    area[PAGE - 10 : PAGE] = signature
    return bytes(area)


def hibernated(codec: str, *, flags: int = 0, spoil: int | None = None) -> bytes:
    """An image whose pages lie in an order that is not theirs, with two map pages."""
    compress = compressor(codec)
    content = [b"about the image".ljust(PAGE, b"\0")]
    for number, at in enumerate(range(0, len(memory()), BLOCK)):
        packed = compress(memory()[at : at + BLOCK])
        data = struct.pack("<Q", len(packed)) + (packed if number != spoil else bytes(len(packed)))
        content += [data[here : here + PAGE] for here in range(0, len(data), PAGE)]
    numbers = list(range(10, 10 + len(content)))
    random.Random(4).shuffle(numbers)
    half = len(numbers) // 2
    # A map that is not full ends at its first zero.
    first = struct.pack(f"<{half}Q", *numbers[:half]).ljust(PAGE - 8, b"\0") + struct.pack("<Q", 9)
    second = struct.pack(f"<{len(numbers) - half}Q", *numbers[half:]).ljust(PAGE, b"\0")
    pages = dict(zip(numbers, content)) | {7: first, 9: second}
    return swap_area(pages, signature=HIBERNATED, first_map=7, flags=flags)


@pytest.mark.parametrize(("codec", "flags"), [("lzo", 0), ("lzo", 1 | 4), ("lz4", 0x10)])
def test_keys_in_a_compressed_image(codec: str, flags: int, tmp_path: Path) -> None:
    (tmp_path / "swap").write_bytes(hibernated(codec, flags=flags))
    image = open_memory(tmp_path / "swap")
    assert image.kind == "hibernation"
    assert planted.found(image) == PLACES
    whole = bytearray(image.size_bytes)
    image.read_into(0, memoryview(whole))
    assert whole[: len(memory())] == memory() and not any(whole[len(memory()) :])
    assert image.unreadable_bytes == 0


def test_a_damaged_block_is_counted_and_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "swap").write_bytes(hibernated("lzo", spoil=1))
    image = open_memory(tmp_path / "swap")
    assert planted.found(image) == {0x5000: KEYS[128]}
    assert image.unreadable_bytes > 0


@pytest.mark.parametrize(("signature", "flags", "kind"), [(SWAP, 0, "swap"), (HIBERNATED, 2, "hibernation")])
def test_swap_and_uncompressed_images_are_searched_as_they_are(
    signature: bytes, flags: int, kind: str, tmp_path: Path
) -> None:
    pages = {n + 3: memory()[n * PAGE : (n + 1) * PAGE] for n in range(len(memory()) // PAGE)}
    (tmp_path / "swap").write_bytes(swap_area(pages, signature=signature, first_map=2, flags=flags))
    image = open_memory(tmp_path / "swap")
    assert image.kind == kind
    assert planted.found(image) == {3 * PAGE + at: key for at, key in PLACES.items()}


@pytest.mark.parametrize("first_map", [0, 5, 1 << 40])
def test_an_image_without_its_map_is_damaged(first_map: int, tmp_path: Path) -> None:
    area = swap_area({5: bytes(PAGE)}, signature=HIBERNATED, first_map=first_map)
    (tmp_path / "swap").write_bytes(area)
    with pytest.raises(DamagedInput, match="map"):
        open_memory(tmp_path / "swap")


def test_a_map_that_leads_back_to_itself_ends(tmp_path: Path) -> None:
    loop = struct.pack("<511QQ", *[3] * 511, 2)
    (tmp_path / "swap").write_bytes(swap_area({2: loop, 3: bytes(PAGE)}, signature=HIBERNATED, first_map=2))
    assert open_memory(tmp_path / "swap").size_bytes == 0


def test_an_empty_map_that_leads_to_itself_ends(tmp_path: Path) -> None:
    endless = bytes(PAGE - 8) + struct.pack("<Q", 1)
    (tmp_path / "swap").write_bytes(swap_area({1: endless}, signature=HIBERNATED, first_map=1))
    with pytest.raises(DamagedInput, match="no map"):
        open_memory(tmp_path / "swap")
