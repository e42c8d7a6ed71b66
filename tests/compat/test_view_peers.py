"""Decrypted volumes beside two independent readers of LUKS: dissect.fve and libluksde."""

from __future__ import annotations

import io
from typing import Any

import pytest
from conftest import Corpus, load_corpus
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.view.volumes import decrypted

luks = pytest.importorskip("dissect.fve.luks", reason="dissect.fve is not installed")
pyluksde = pytest.importorskip("pyluksde", reason="libluksde is not installed")

pytestmark = pytest.mark.slow  # some keyslots of the corpus cost as much as real ones

RANGES = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(1, 70000)), min_size=1, max_size=4)


def cases(version: int | None = None) -> list[str]:
    """Healthy one-file volumes with a plain passphrase."""
    found = load_corpus()

    def fits(case: dict[str, Any]) -> bool:
        opens = [attempt for attempt in case.get("unlock") or [] if attempt["opens"] and "opened_slot" in attempt]
        return (
            case["role"] == "device"
            and case.get("verdict", "valid") == "valid"
            and case["family"] not in ("luks2-integrity", "reencrypt", "search")
            and bool(opens)
            and "passphrase" in opens[0]
            and (version is None or (case.get("luks") or {}).get("version") == version)
        )

    return [case_id for case_id, case in found.cases.items() if fits(case)] if found else []


def passphrase_of(corpus: Corpus, case_id: str) -> tuple[str, int]:
    attempt = next(a for a in corpus.cases[case_id]["unlock"] if a["opens"] and "opened_slot" in a)
    return attempt["passphrase"], attempt["opened_slot"]


@pytest.mark.parametrize("case_id", cases())
def test_dissect_reads_the_same(corpus: Corpus, case_id: str) -> None:
    passphrase, slot = passphrase_of(corpus, case_id)
    image = corpus.data(case_id)
    try:
        peer = luks.LUKS(io.BytesIO(image))
        peer.unlock_with_passphrase(passphrase, slot)
        stream = peer.open()
        stream.seek(0)
        stream.read(512)
    except Exception as error:  # what dissect cannot do is no verdict on us
        pytest.skip(f"dissect.fve: {error!r:.100}")
    volume = decrypted(corpus, case_id)
    size = volume.size_bytes // 4096 * 4096

    @settings(max_examples=25, deadline=None)
    @given(RANGES)
    def same(ranges: list[tuple[int, int]]) -> None:
        for offset, length in ranges:
            length = min(length, max(0, size - offset))
            first = offset // 4096 * 4096  # dissect reads whole sectors reliably
            stream.seek(first)
            expected = stream.read(offset - first + length)[offset - first :]
            assert volume.read_at(offset, length) == expected

    same()


@pytest.mark.parametrize("case_id", cases(version=1))
def test_libluksde_reads_the_same(corpus: Corpus, case_id: str) -> None:
    passphrase, _ = passphrase_of(corpus, case_id)
    volume = decrypted(corpus, case_id)
    peer = pyluksde.volume()
    peer.set_password(passphrase)
    try:
        peer.open_file_object(io.BytesIO(corpus.data(case_id)))
        if peer.is_locked():
            pytest.skip("libluksde does not open it")
        peer.read_buffer_at_offset(512, 0)
    except OSError as error:
        pytest.skip(f"libluksde: {str(error)[:100]}")
    size = min(peer.get_size(), volume.size_bytes)

    @settings(max_examples=25, deadline=None)
    @given(RANGES)
    def same(ranges: list[tuple[int, int]]) -> None:
        for offset, length in ranges:
            length = min(length, max(0, size - offset))
            first, end = offset // 512 * 512, -(-(offset + length) // 512) * 512
            # libluksde reads whole sectors reliably: what it gives from the middle of one is wrong from the next one on
            expected = peer.read_buffer_at_offset(end - first, first) if length else b""
            assert volume.read_at(offset, length) == expected[offset - first :][:length]

    assert volume.read_at(0, min(size, 1 << 20)) == peer.read_buffer_at_offset(min(size, 1 << 20), 0)
    same()
