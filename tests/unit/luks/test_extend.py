"""A header extended by a keyslot: what is kept opens as before, what goes is gone."""

from __future__ import annotations

import pytest
from generators.headers import (
    CHEAP_ARGON2,
    CHEAP_PBKDF2,
    PASSPHRASE,
    VOLUME_KEY,
    luks1_image,
    luks2_image,
    seeded_bytes,
    with_document,
)

from luksafe.errors import KeyRejected
from luksafe.luks.create import KdfChoice, Parameters
from luksafe.luks.extend import extend_header
from luksafe.luks.inspection import Inspection, inspect
from luksafe.luks.model import Json
from luksafe.luks.unlock import unlock
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes

NEW = SecretBytes(b"new passphrase")
OLD = SecretBytes(PASSPHRASE)
KEY = SecretBytes(VOLUME_KEY)


def extend(image: bytes, keep: tuple[int, ...], kdf: KdfChoice = CHEAP_ARGON2, seqid: int = 0) -> Inspection:
    reader = BytesReader(image)
    made = extend_header(inspect(reader), reader, keep, KEY, NEW, kdf, seeded_bytes(2), seqid=seqid)
    found = inspect(BytesReader(made))
    assert not found.is_refused, found.all_findings
    opened = unlock(BytesReader(made), found.require_header(), NEW)
    assert opened.volume_key == KEY
    for old in keep:
        assert unlock(BytesReader(made), found.require_header(), OLD, keyslot=old).volume_key == KEY
    if not keep:
        with pytest.raises(KeyRejected):
            unlock(BytesReader(made), found.require_header(), OLD)
    return found


@pytest.mark.parametrize("keep", [(0,), ()])
def test_luks2(keep: tuple[int, ...]) -> None:
    before = inspect(BytesReader(luks2_image())).require_header()
    after = extend(luks2_image(), keep, seqid=7).require_header()
    assert sorted(after.keyslots) == [0, 1][: len(keep) + 1]
    assert (after.seqid, after.uuid, after.label) == (7, before.uuid, before.label)
    assert after.digests[0].digest == before.digests[0].digest
    assert after.segments == before.segments


def test_luks2_gets_a_sequence_id_above_that_of_its_base() -> None:
    before = inspect(BytesReader(luks2_image(seqid=9))).require_header()
    assert extend(luks2_image(seqid=9), (0,)).require_header().seqid == before.seqid + 1


@pytest.mark.parametrize("keep", [(0,), ()])
def test_luks1(keep: tuple[int, ...]) -> None:
    image = bytearray(luks1_image())
    image[-512:] = b"clevis" * 85 + b"me"  # what others keep between keyslots and data stays
    reader = BytesReader(image)
    made = extend_header(inspect(reader), reader, keep, KEY, NEW, CHEAP_PBKDF2, seeded_bytes(2))
    assert made[-512:] == image[-512:]
    extend(bytes(image), keep, CHEAP_PBKDF2)


def test_tokens_follow_their_keyslots() -> None:
    def add_tokens(document: Json) -> None:
        document["tokens"] = {
            "0": {"type": "of-keyslot", "keyslots": ["0"], "note": "kept"},
            "1": {"type": "of-none", "keyslots": []},
        }

    image = with_document(luks2_image(), add_tokens)
    assert [t.type for t in extend(image, (0,)).require_header().tokens.values()] == ["of-keyslot", "of-none"]
    assert extend(image, (0,)).require_header().tokens[0].raw["note"] == "kept"
    assert [t.type for t in extend(image, ()).require_header().tokens.values()] == ["of-none"]


def test_digests_of_other_keys_go() -> None:
    def add_unbound(document: Json) -> None:
        document["keyslots"]["1"] = {**document["keyslots"]["0"], "area": dict(document["keyslots"]["0"]["area"])}
        document["keyslots"]["1"]["area"]["offset"] = str(32768 + 258048)
        document["digests"]["1"] = {**document["digests"]["0"], "keyslots": ["1"], "segments": []}

    header = extend(with_document(luks2_image(), add_unbound), (0,)).require_header()
    assert list(header.digests) == [0]
    assert sorted(header.keyslots) == [0, 1]  # the freed number is taken by the new keyslot


def test_a_full_keyslots_area_is_said() -> None:
    image = luks2_image(keyslots_size=258048)
    with pytest.raises(ValueError, match="no room"):
        extend(image, (0,))
    assert list(extend(image, ()).require_header().keyslots) == [0]


def test_the_gap_of_a_keyslot_that_went_is_taken_first() -> None:
    def move_up(document: Json) -> None:
        document["keyslots"]["0"]["area"]["offset"] = str(32768 + 258048)

    image = bytearray(with_document(luks2_image(), move_up))
    image[32768 + 258048 : 32768 + 2 * 258048] = image[32768 : 32768 + 258048]
    area = extend(bytes(image), (0,)).require_header().keyslots[1].area
    assert area is not None
    assert area.offset == 32768


def test_what_the_secondary_alone_still_says_is_what_is_extended() -> None:
    image = bytearray(luks2_image())
    image[:16384] = bytes(16384)
    after = extend(bytes(image), (0,))
    assert [copy.state for copy in after.copies] == ["ok", "ok"]
    assert after.require_header().label == "test"


def test_all_keyslots_in_use_is_said() -> None:
    image = luks1_image()
    for _ in range(7):
        reader = BytesReader(image)
        keep = tuple(inspect(reader).require_header().keyslots)
        image = extend_header(inspect(reader), reader, keep, KEY, NEW, CHEAP_PBKDF2, seeded_bytes())
    with pytest.raises(ValueError, match="all 8 keyslots are in use"):
        extend(image, tuple(range(8)), CHEAP_PBKDF2)


@pytest.mark.parametrize("make", [luks1_image, luks2_image])
def test_parameters_come_back_from_the_header_that_they_made(make: object) -> None:
    header = inspect(BytesReader(make())).require_header()  # type: ignore[operator]
    parameters = Parameters.from_header(header)
    assert parameters.encryption == "aes-xts-plain64"
    again = make(digest=parameters.digest)  # type: ignore[operator]
    assert inspect(BytesReader(again)).require_header().digests[0].digest == header.digests[0].digest
