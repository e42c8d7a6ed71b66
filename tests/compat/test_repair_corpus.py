"""Real accidents from the corpus: repaired on a copy, opened by cryptsetup, undone byte for byte."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Corpus, load_corpus

from luksafe.cli.app import App
from luksafe.cli.main import main

pytestmark = pytest.mark.skipif(shutil.which("cryptsetup") is None, reason="cryptsetup is not installed")

EASY = ("repair", "magic bytes", "as it is")
SPLIT = ("dmg-a-same-seqid-different", "dmg-a-uuid-differs")
UNTOUCHED = (
    *("dmg-a-md-0.90-end", "dmg-a-md-1.0-end", "dmg-b-md-0.90-end", "dmg-b-md-1.0-end", "dmg-a-truncated-in-payload"),
    *("dmg-b-truncated-in-payload", "dmg-a-unknown-requirement", "dmg-b-payload-offset-flip"),
)
"""Nothing in the header is wrong, or nothing but the data could tell (the last)."""
UUID_ONLY = ("dmg-b-uuid-flip", "dmg-b-uuid-zeroed")
BEYOND_CRYPTSETUP = (
    *("dmg-a-csum-flip-both", "dmg-a-json-flip-both", "dmg-a-hdr-offset-swapped", "dmg-b-cipher-mode-upper"),
    *("dmg-b-cipher-name-flip", "dmg-b-keybytes-wrong", "dmg-b-keyslot0-active-flip", "dmg-b-keyslot1-offset-wrong"),
    *("dmg-b-stripes-wrong", "dmg-b-version-2"),
)
"""cryptsetup needs a backup for these."""


def cases(*wanted: str) -> list[str]:
    corpus = load_corpus()
    found = corpus.cases.items() if corpus else ()
    return [
        name
        for name, case in found
        if case["family"] == "damage" and case["recovery"]["least_that_opens_everything"] in wanted
    ]


MENDED = [name for name in cases(*EASY) if name not in (*SPLIT, *UNTOUCHED, *UUID_ONLY)]
HOPELESS = [
    name for name in cases("backup") if name not in (*BEYOND_CRYPTSETUP, "dmg-a-gpt") and "mkdigest" not in name
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def luksafe(place: Path, *arguments: str) -> int:
    App._current = None
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as leave:
        patch.setattr(sys, "argv", ["luksafe", "--vault", str(place / "vault"), *arguments])
        main()
    return int(leave.value.code or 0)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def opens(image: Path, passphrase: str) -> bool:
    """Whether cryptsetup, on a copy (it may write), opens a keyslot."""
    copy = image.with_suffix(".copy")
    subprocess.run(["cp", "--sparse=always", image, copy], check=True)
    command = ["cryptsetup", "open", "--test-passphrase", "--key-file", "-", copy]
    done = subprocess.run(command, input=passphrase.encode(), capture_output=True)
    copy.unlink()
    return done.returncode == 0


def tries(corpus: Corpus, name: str) -> list[dict[str, Any]]:
    return corpus.cases[name]["unlock"]


@pytest.mark.parametrize("name", [*MENDED, *BEYOND_CRYPTSETUP] if load_corpus() else [])
def test_it_is_repaired_then_opens_and_undo_gives_the_damage_back(corpus: Corpus, place: Path, name: str) -> None:
    image = corpus.unpack(name, place)["image"]
    before = digest(image)
    assert luksafe(place, "repair", str(image), "--yes") == 0
    assert digest(image) != before
    assert all(opens(image, one["passphrase"]) for one in tries(corpus, name))
    assert luksafe(place, "repair", str(image), "--yes") == 0
    assert luksafe(place, "undo", str(image), "--yes") == 0
    assert digest(image) == before


@pytest.mark.parametrize("name", SPLIT)
def test_split_evidence_is_refused_until_a_side_is_taken(
    corpus: Corpus, place: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    image = corpus.unpack(name, place)["image"]
    before = digest(image)
    assert luksafe(place, "repair", str(image), "--yes") == 14
    said = capsys.readouterr().err
    assert "--take primary" in said
    assert "--take secondary" in said
    assert digest(image) == before
    assert luksafe(place, "repair", str(image), "--yes", "--take", "secondary") == 0
    assert luksafe(place, "repair", str(image), "--yes") == 0
    assert all(opens(image, one["passphrase"]) for one in tries(corpus, name))


@pytest.mark.parametrize("name", [*UNTOUCHED, "dmg-base-a", "dmg-base-b"])
def test_where_nothing_in_the_header_is_wrong_nothing_is_written(corpus: Corpus, place: Path, name: str) -> None:
    image = corpus.unpack(name, place)["image"]
    before = digest(image)
    assert luksafe(place, "repair", str(image), "--yes") == 0
    assert digest(image) == before


@pytest.mark.parametrize("name", UUID_ONLY)
def test_a_lost_uuid_is_written_when_given(corpus: Corpus, place: Path, name: str) -> None:
    image = corpus.unpack(name, place)["image"]
    assert luksafe(place, "repair", str(image), "--yes") == 10
    uuid = corpus.cases["dmg-base-b"]["luks"]["uuid"]
    assert luksafe(place, "repair", str(image), "--yes", "--uuid", uuid) == 0
    assert image.read_bytes()[:592] == corpus.data("dmg-base-b")[:592]


@pytest.mark.parametrize("name", HOPELESS)
def test_what_no_repair_brings_back_is_left_alone(corpus: Corpus, place: Path, name: str) -> None:
    image = corpus.unpack(name, place)["image"]
    before = digest(image)
    assert luksafe(place, "repair", str(image), "--yes", "--time", "5") == 10
    assert digest(image) == before


def test_a_guess_is_written_only_when_it_is_proven_or_accepted(corpus: Corpus, place: Path) -> None:
    image = corpus.unpack("dmg-a-gpt", place)["image"]
    key = place / "key"
    key.write_text(tries(corpus, "dmg-a-gpt")[0]["passphrase"])
    assert luksafe(place, "repair", str(image), "--yes") == 14
    wrong = place / "wrong"
    wrong.write_text("no such passphrase")
    assert luksafe(place, "repair", str(image), "--yes", "--key-file", str(wrong)) == 11
    assert luksafe(place, "repair", str(image), "--yes", "--key-file", str(key)) == 0
    assert all(opens(image, one["passphrase"]) for one in tries(corpus, "dmg-a-gpt"))


@pytest.mark.parametrize(
    "name",
    [
        *("dmg-b-keyslot0-salt-flip", "dmg-b-mkdigest-flip", "dmg-b-mkdigest-salt-flip"),
        pytest.param("dmg-a-keyslot0-flip", marks=[pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(7200)]),
        pytest.param("dmg-b-keyslot0-flip", marks=[pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(7200)]),
    ],
)
def test_a_keyslot_with_a_flipped_bit_opens_again(corpus: Corpus, place: Path, name: str) -> None:
    image = corpus.unpack(name, place)["image"]
    before = digest(image)
    key = place / "key"
    key.write_text(tries(corpus, name)[0]["passphrase"])
    assert not opens(image, key.read_text())
    assert luksafe(place, "repair", str(image), "--yes", "--keyslot", "0", "--key-file", str(key)) == 0
    assert all(opens(image, one["passphrase"]) for one in tries(corpus, name))
    assert luksafe(place, "undo", str(image), "--yes") == 0
    assert digest(image) == before
