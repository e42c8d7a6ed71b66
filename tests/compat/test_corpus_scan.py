"""The disks, filesystems and archives of the corpus in which headers must be found: all, and nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from conftest import Corpus, load_corpus

from luksafe.ops.scan.report import describe_scan
from luksafe.ops.scan.scan import scan
from luksafe.ops.workspace import Workspace

FOUND = load_corpus()
CASES = [name for name, case in FOUND.cases.items() if case["family"] == "search"] if FOUND else []


def run(path: Path, folder: Path) -> dict[str, Any]:
    return describe_scan(scan(Workspace(folder / "no-vault"), path, lambda label, size: lambda done: None))


@pytest.mark.parametrize("case_id", CASES)
def test_finds_all_and_nothing_else(case_id: str, corpus: Corpus, tmp_path: Path) -> None:
    case = corpus.cases[case_id]
    image = corpus.unpack(case_id, tmp_path)["image"]
    before = hashlib.sha256(image.read_bytes()).hexdigest()
    found = run(image, tmp_path)
    assert hashlib.sha256(image.read_bytes()).hexdigest() == before
    headers = {header["offset"]: header for header in found["headers"]}
    assert sorted(headers) == sorted(expected["offset"] for expected in case["headers"])
    for expected in case["headers"]:
        header = headers[expected["offset"]]
        assert header["uuid"] == expected["uuid"]
        assert header["format"] == f"luks{expected['luks_version']}"
        assert header["stale"] is expected["stale"]
        assert header.get("only") == expected.get("only")
        assert header["contiguous"] is expected.get("contiguous", True)
        if "secondary_offset" in expected and header["contiguous"]:
            assert header["secondary_offset"] == expected["secondary_offset"]
    live = {e["offset"] for e in case["headers"] if e.get("opens_when_carved") and not e.get("contiguous")}
    guessed = {guess["start"] for guess in found["partitions"]}
    if case_id == "srch-raw-backup-on-same-disk":
        assert guessed == {1 << 20}  # where the volume was, not where the copy of its header lies
    else:
        assert guessed == live


def test_corpus_families_without_disks_are_found_too(corpus: Corpus, tmp_path: Path) -> None:
    for case_id in ("g2-metadata-4m", "g1-default", "dmg-a-wipefs"):
        folder = tmp_path / case_id
        folder.mkdir()
        image = corpus.unpack(case_id, folder)["image"]
        base = corpus.cases[case_id]["files"]["image"].get("base", case_id)
        headers = run(image, tmp_path)["headers"]
        assert [(h["offset"], h["uuid"]) for h in headers] == [(0, corpus.cases[base]["luks"]["uuid"])]
        assert headers[0]["usable"]
