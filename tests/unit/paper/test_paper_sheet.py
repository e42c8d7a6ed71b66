from __future__ import annotations

import hashlib

import pytest
import sheet_examples as examples

from luksafe.errors import DamagedInput, Unsupported, UsageError
from luksafe.paper.sheet import MAX_PAYLOAD_BYTES, Head, SheetContent, SheetKind
from luksafe.secret import SecretBytes


def test_the_sheet_id_begins_the_sha256sum() -> None:
    content = examples.packet()
    digest = hashlib.sha256(content.payload.reveal()).hexdigest()
    assert content.sheet_id.replace("-", "").lower() == digest[:8]


@pytest.mark.parametrize("kind", SheetKind)
def test_the_head_is_read_back(kind: SheetKind) -> None:
    head = Head.of(kind, examples.payload(1234))
    assert len(head.line) == 20
    assert Head.parse(head.line) == head
    assert (head.length_bytes, head.line_count) == (1234, 62)


HEAD = Head.of(SheetKind.PACKET, examples.payload(50)).line


@pytest.mark.parametrize(
    ("line", "error", "match"),
    [
        (HEAD[:19], DamagedInput, "20 bytes"),
        (b"\x02" + HEAD[1:], Unsupported, "format 2"),
        (b"\x01\x00" + HEAD[2:], Unsupported, "number 0"),
        (b"\x01\x06" + HEAD[2:], Unsupported, "number 6"),
        (b"\x01\x01\x00\x00" + HEAD[4:], DamagedInput, "0 bytes"),
        (b"\x01\x01\xff\xff" + HEAD[4:], DamagedInput, "65535 bytes"),
    ],
)
def test_other_heads_are_refused(line: bytes, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        Head.parse(line)


@pytest.mark.parametrize("size", [0, MAX_PAYLOAD_BYTES + 1])
def test_what_does_not_go_on_paper_is_refused(size: int) -> None:
    with pytest.raises(UsageError, match="do not go on paper"):
        SheetContent(SheetKind.PACKET, "too much", SecretBytes(bytes(size)))


@pytest.mark.parametrize(
    "words", [b"Duckling enlarge", b"duckling  enlarge", b"duckling enlarge\n", b"duckl\xc3\xa4ng", b"a1"]
)
def test_a_share_is_words(words: bytes) -> None:
    with pytest.raises(UsageError, match="words"):
        SheetContent(SheetKind.SHARE, "share", SecretBytes(words))


def test_words_and_file_name() -> None:
    assert examples.share().words[:2] == ("duckling", "enlarge")
    assert examples.packet().words == ()
    assert examples.share().stored_as == "share"
    assert examples.packet().stored_as == "packet.age"
    assert SheetKind.VOLUME_KEY.word == "volume-key"


def test_secrets_are_not_in_the_repr() -> None:
    assert repr(examples.volume_key().payload.reveal())[2:20] not in repr(examples.volume_key())
    assert examples.RECOVERY_KEY not in repr(examples.recovery_key())
    assert examples.WORDS[:8] not in repr(examples.share())
