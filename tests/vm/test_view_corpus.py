"""Volumes of the corpus, opened by cryptsetup and read through the kernel's dm-crypt: the same bytes as ours."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from conftest import Corpus
from unit.view.volumes import corpus_key, decrypted

pytestmark = pytest.mark.vm

LEFT_OUT = ("luks2-integrity", "reencrypt", "search", "damage", "restore")
RANGES = 40
ALIGNMENT = 1 << 20

GUEST = """
import hashlib, json, os, subprocess
os.environ['DM_DISABLE_UDEV'] = '1'

def run(*command):
    return subprocess.run(command, capture_output=True, text=True)

def read(volume):
    open('/tmp/key', 'wb').write(bytes.fromhex(volume['key']))
    where = ['-o', str(volume['offset']), '--sizelimit', str(volume['size'])]
    loop = run('losetup', '-f', '--show', '-r', *where, '/dev/vda').stdout.strip()
    made = run('cryptsetup', 'open', '--readonly', '--volume-key-file', '/tmp/key', loop, 'view')
    if made.returncode:
        return made.stderr
    run('dmsetup', 'mknodes')
    digests = []
    with open('/dev/mapper/view', 'rb') as device:
        size = device.seek(0, 2)
        for offset, length in volume['ranges']:
            device.seek(offset)
            digests.append(hashlib.sha256(device.read(length)).hexdigest())
    run('cryptsetup', 'close', 'view')
    run('losetup', '-d', loop)
    return [size, digests]

print(json.dumps([read(volume) for volume in json.load(open('/share/view-corpus.json'))]))
"""


def cases(corpus: Corpus) -> list[str]:
    """The smallest volume of each format, cipher, key size and sector size."""
    smallest: dict[tuple[Any, ...], str] = {}

    def size(case_id: str) -> int:
        return int(corpus.cases[case_id]["files"]["image"]["size"])

    for case_id, case in corpus.cases.items():
        header = case.get("luks") or {}
        attempts = case.get("unlock") or []
        is_open = any(a["opens"] and not a.get("unbound") and "opened_slot" in a for a in attempts)
        if case["role"] != "device" or case["family"] in LEFT_OUT or case.get("verdict", "valid") != "valid":
            continue
        kind = tuple(header.get(name) for name in ("version", "cipher", "key_bits", "sector_size"))
        if is_open and (kind not in smallest or size(case_id) < size(smallest[kind])):
            smallest[kind] = case_id
    return sorted(smallest.values())


def test_the_kernel_reads_the_same_of_every_kind_of_volume(vm: Any, corpus: Corpus, tmp_path: Path) -> None:
    disk, chosen, asked = tmp_path / "disk.img", cases(corpus), []
    assert len(chosen) > 20
    with disk.open("wb") as out:
        for case_id in chosen:
            image = corpus.data(case_id)
            key = corpus_key(corpus, case_id, image).view.hex()
            out.seek(-(-out.tell() // ALIGNMENT) * ALIGNMENT)
            asked.append({"offset": out.tell(), "size": len(image), "key": key})
            volume_bytes, some = decrypted(corpus, case_id).size_bytes, random.Random(case_id)
            starts = [some.randrange(volume_bytes) for _ in range(RANGES)]
            asked[-1]["ranges"] = [(0, volume_bytes), *((start, some.randint(1, 70000)) for start in starts)]
            out.write(image)
        out.truncate(-(-out.tell() // ALIGNMENT) * ALIGNMENT)
    (vm.share / "view-corpus.json").write_text(json.dumps(asked))
    answers = vm.python(GUEST, before="modprobe dm-crypt; modprobe loop max_loop=64", disks=[disk], timeout=900)
    wrong = []
    for case_id, volume, answer in zip(chosen, asked, answers, strict=True):
        ours = decrypted(corpus, case_id)
        expected = [hashlib.sha256(ours.read_at(*place)).hexdigest() for place in volume["ranges"]]
        if answer != [ours.size_bytes, expected]:
            wrong.append((case_id, answer if isinstance(answer, str) else "other bytes"))
    assert not wrong
