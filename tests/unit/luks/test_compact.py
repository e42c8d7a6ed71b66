"""The compact image keeps all that opens the volume and nothing that was removed."""

from __future__ import annotations

import gzip

import pytest
from generators.headers import PASSPHRASE, luks1_image, luks2_image, seeded_bytes, with_document

from luksafe.luks.areas import regions
from luksafe.luks.compact import capture
from luksafe.luks.inspection import inspect
from luksafe.luks.unlock import unlock
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes


def noisy(image: bytes, keep: list[tuple[int, int]]) -> bytes:
    """The image with random bytes everywhere but in ``keep``, as cryptsetup leaves it."""
    out = bytearray(seeded_bytes(7)(len(image)))
    for start, end in keep:
        out[start:end] = image[start:end]
    return bytes(out)


def take(image: bytes, **options):
    reader = BytesReader(image)
    return capture(reader, inspect(reader), **options)


def test_luks2_keeps_copies_and_keyslots_and_zeroes_the_rest():
    live = [(0, 32768 + 258048)]
    image = noisy(luks2_image(data_offset=16 << 20), live)
    taken = take(image)
    assert taken.kept == tuple(live)
    assert taken.image == image[: live[0][1]].ljust(16 << 20, b"\0")
    assert len(gzip.compress(taken.image)) < 300_000
    opened = unlock(BytesReader(taken.image), inspect(BytesReader(taken.image)).header, SecretBytes(PASSPHRASE))
    assert opened.keyslot == 0


def test_luks1_keeps_the_gap_but_no_residue_of_old_keyslots():
    image = bytearray(noisy(luks1_image(), [(0, 4096 + 256000)]))
    image[:592] = luks1_image()[:592]
    taken = take(bytes(image))
    inactive = [r for r in regions(inspect(BytesReader(bytes(image)))) if r.kind == "inactive-keyslot"]
    assert len(inactive) == 7
    for region in inactive:
        assert not any(taken.image[region.start : region.end])
    tail = inactive[-1].end
    assert taken.image[tail : 2 << 20] == bytes(image[tail : 2 << 20])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: d["config"].update(requirements={"mandatory": ["novel"]}), "unknown requirement 'novel'"),
        (lambda d: d["config"].update(requirements={"mandatory": ["offline-reencrypt"]}), "in reencryption"),
        (
            lambda d: d["keyslots"].update(
                {"9": {"type": "novel", "key_size": 1, "area": {"type": "x", "offset": "819200", "size": "512"}}}
            ),
            "keyslot 9 is of an unknown type",
        ),
    ],
)
def test_what_is_not_understood_is_kept_whole(change, why):
    image = noisy(with_document(luks2_image(), change), [(0, 32768)])
    taken = take(image)
    assert why in taken.why_whole
    assert taken.image == image
    assert taken.kept == ((0, len(image)),)


def test_a_damaged_header_is_kept_whole():
    image = bytearray(noisy(luks2_image(), [(0, 32768)]))
    image[200] ^= 1
    assert take(bytes(image)).why_whole == "parts of the header are damaged"
    image[16384 + 200] ^= 1
    taken = take(bytes(image))
    assert taken.why_whole == "the header is damaged"
    assert taken.image == bytes(image)


def test_full_keeps_everything():
    image = noisy(luks2_image(), [(0, 32768)])
    assert take(image, full=True).image == image


def test_bad_sectors_become_zeros_and_are_listed():
    class Failing(BytesReader):
        def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
            if offset_bytes < 65536 < offset_bytes + length_bytes or offset_bytes == 65536:
                raise OSError(5, "Input/output error")
            return super().read_at(offset_bytes, length_bytes)

    reader = Failing(luks2_image())
    taken = capture(reader, inspect(reader))
    assert taken.unreadable == ((65536, 69632),)
    assert not any(taken.image[65536:69632])
    assert taken.image[69632:80000] == luks2_image()[69632:80000]


def test_a_short_device_gives_a_short_image():
    assert len(take(luks2_image()[:100_000]).image) == 100_000
