from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luksafe.errors import DamagedInput
from luksafe.view.mapfile import Block, Mapfile, Status, format_mapfile, parse_mapfile

SIZE = 200


def letters(mapfile: Mapfile) -> str:
    return "".join(block.status * block.size_bytes for block in mapfile)


def test_new_mapfile_is_one_untried_block() -> None:
    assert list(Mapfile(100)) == [Block(0, 100, Status.UNTRIED)]
    assert list(Mapfile(0)) == []


@given(
    st.lists(st.tuples(st.integers(0, SIZE + 5), st.integers(0, SIZE + 5), st.sampled_from(list(Status))), max_size=40)
)
def test_mark_agrees_with_one_letter_for_each_byte(marks: list[tuple[int, int, Status]]) -> None:
    mapfile, model = Mapfile(SIZE), ["?"] * SIZE
    for offset, size, status in marks:
        mapfile.mark(offset, size, status)
        end = min(offset + size, SIZE)
        model[offset:end] = [status.value] * max(0, end - offset)
    assert letters(mapfile) == "".join(model)
    blocks = list(mapfile)
    assert all(a.status != b.status for a, b in pairwise(blocks))
    assert list(parse_mapfile(format_mapfile(mapfile))) == blocks
    assert mapfile.total_bytes(Status.BAD) == model.count("-")


def test_reads_what_ddrescue_writes() -> None:
    text = """# Mapfile. Created by GNU ddrescue version 1.27
# Command line: ddrescue /dev/sdb sdb.img sdb.map
# current_pos  current_status  current_pass
0x00120000     ?               1
#      pos        size  status
0x00000000  0x00117000  +   # a comment
0x00117000  512  -
0x00117200  0x00001000  /
0x00118200  0x00007E00  *
04400000  0x00048000  ?
"""
    mapfile = parse_mapfile(text)
    assert mapfile.size_bytes == 0x168000
    assert mapfile.blocks(Status.BAD) == [Block(0x117000, 512, Status.BAD)]
    assert mapfile.blocks(Status.UNTRIED)[0].offset_bytes == 0x120000


def test_a_mapfile_of_a_part_leaves_the_start_untried() -> None:
    mapfile = parse_mapfile("0x0 + 1\n0x1000 0x1000 +\n")
    assert list(mapfile) == [Block(0, 0x1000, Status.UNTRIED), Block(0x1000, 0x1000, Status.FINISHED)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment\n",
        "nonsense\n",
        "0 X 1\n0 1 +\n",
        "0 + 1\n0 1\n",
        "0 + 1\n0 1 !\n",
        "0 + 1\n0 0 +\n",
        "0 + 1\n-1 2 +\n",
        "0 + 1\n0 08 +\n",
        "0 + 1\n0 1 + +\n",
        "0 + 1\n0 0x10 +\n0x20 0x10 +\n",
        "0 + 1\n0 0x20 +\n0x10 0x10 +\n",
        "0 + 1\n0 0xffffffffffffffff +\n",
        "0 + 1\n0 " + "9" * 5000 + " +\n",
    ],
)
def test_refuses_what_is_no_mapfile(text: str) -> None:
    with pytest.raises(DamagedInput, match="mapfile") as caught:
        parse_mapfile(text)
    assert caught.value.hint


@given(st.text(alphabet="0123456789x?*/-+FG \n#abcdef", max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(DamagedInput):
        parse_mapfile(text)


def test_ddrescuelog_accepts_what_we_write(tmp_path: Path) -> None:
    if not shutil.which("ddrescuelog"):
        pytest.skip("ddrescuelog (Debian: gddrescue) is not installed")
    mapfile = Mapfile(1 << 20)
    mapfile.mark(0, 1 << 20, Status.FINISHED)
    mapfile.mark(8192, 4096, Status.BAD)
    path = tmp_path / "map"
    path.write_text(format_mapfile(mapfile, comments=["Positions are bytes of the decrypted volume"]))
    listed = subprocess.run(
        ["ddrescuelog", "--list-blocks=-", "-b512", path], capture_output=True, text=True, check=True
    )
    assert [int(line) for line in listed.stdout.split()] == list(range(16, 24))
