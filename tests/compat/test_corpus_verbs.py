"""``prove`` and ``show`` over the whole corpus, as a user types them: cryptsetup's answers, no byte changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from conftest import load_corpus

from luksafe.cli.app import App
from luksafe.cli.main import main

FOUND = load_corpus()
CASES = [c for c in FOUND.cases.values() if "cryptsetup" in c] if FOUND else []


def run(capsys, *arguments: object) -> tuple[int, dict]:
    App._current = None
    capsys.readouterr()
    with pytest.raises(SystemExit) as leave:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return int(leave.value.code or 0), json.loads(out)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=[c["id"] for c in CASES])
def test_prove_agrees_with_cryptsetup(corpus, case, tmp_path: Path, capsys):
    files = corpus.unpack(case["id"], tmp_path)
    target = files.get("header", files["image"])
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in files.values()}
    vault = ("--vault", tmp_path / "vault", "--json")
    status, shown = run(capsys, *vault, "show", target)
    if case["verdict"] == "valid":
        assert status == 0 or shown["findings"], shown
    if case["verdict"].startswith("refused"):
        assert status != 0
        assert any(finding["severity"] == "error" for finding in shown["findings"])
    for entry in case.get("unlock", []):
        options = key_options(entry, files, tmp_path)
        status, proved = run(capsys, *vault, "prove", target, *options)
        if entry["opens"]:
            assert proved["opened"], proved
            wanted = entry.get("volume_key_sha256") or (None if entry.get("unbound") else case.get("volume_key_sha256"))
            if wanted:
                assert proved["volume_key_sha256"] == wanted
            if entry.get("opened_slot") is not None:
                assert proved["keyslot"] == entry["opened_slot"]
        elif case["verdict"] in ("valid", "recovered-on-load"):
            assert (status, proved["opened"]) != (0, True)
        else:
            # we read more leniently than cryptsetup, but never without saying what is wrong
            assert status != 0
            assert proved["findings"]
    assert {path: hashlib.sha256(path.read_bytes()).digest() for path in files.values()} == before


def key_options(entry: dict, files: dict[str, Path], folder: Path) -> list[object]:
    if "keyfile" in entry:
        options: list[object] = ["--key-file", files[entry["keyfile"]]]
        if "keyfile_offset" in entry:
            options += ["--keyfile-offset", entry["keyfile_offset"]]
        if "keyfile_size" in entry:
            options += ["--keyfile-size", entry["keyfile_size"]]
    else:
        text = bytes.fromhex(entry["passphrase_hex"]) if "passphrase_hex" in entry else entry["passphrase"].encode()
        (folder / "key").write_bytes(text)
        options = ["--key-file", folder / "key"]
    return [*options, "--key-slot", entry["slot"]] if "slot" in entry else options
