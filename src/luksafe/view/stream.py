"""The decrypted volume as a Reader: ciphertext and keys in, plaintext at any offset out; nothing is ever written."""

from __future__ import annotations

import errno
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace

from luksafe.crypto.sectors import SectorCipher, sector_cipher
from luksafe.errors import KeyRejected
from luksafe.luks.finding import Finding, Severity
from luksafe.luks.model import Header, Segment
from luksafe.reader import Reader
from luksafe.secret import SecretBytes
from luksafe.view.hot_zone import settle
from luksafe.view.layout import Extent, Layout, lay_out

PIECE_BYTES = 512 << 10  # read and decrypted at a time, so that it stays in the processor's cache
NO_KEY = "no key for it was given"


class DecryptedReader:
    """The plaintext of a volume. Threads may read at once, and so may forked processes.

    ``keys`` are the volume keys by segment id; ``findings`` what is known beforehand. Raises ``KeyRejected`` where no
    segment has a key, ``Unsupported`` and ``DamagedInput`` as ``lay_out`` and ``sector_cipher`` do.
    """

    def __init__(
        self,
        ciphertext: Reader,
        segments: list[Segment],
        keys: Mapping[int, SecretBytes],
        *,
        iv_large_sectors: bool = False,
        findings: Sequence[Finding] = (),
    ) -> None:
        self._ciphertext = ciphertext
        unkeyed = {segment.id for segment in segments if segment.type == "crypt" and segment.id not in keys}
        if unkeyed and len(unkeyed) == sum(segment.type == "crypt" for segment in segments):
            raise KeyRejected("none of the keys is for a segment of this volume", hint="give the key of this volume")
        self._layout = _without_keys(lay_out(segments, ciphertext.size_bytes), unkeyed)
        self._findings = (*findings, *self._layout.findings)
        self._extents = self._layout.extents
        self._starts = [extent.start_bytes for extent in self._extents]
        self._keys = keys
        self._iv_large_sectors = iv_large_sectors
        # ciphers at rest, by segment: each is for one thread at a time. The first ones show what is unsupported.
        self._idle = {
            extent.segment.id: [self._new_cipher(extent.segment)]
            for extent in self._extents
            if extent.segment.type == "crypt" and not extent.lost
        }

    @property
    def size_bytes(self) -> int:
        """The size of the decrypted volume."""
        return self._layout.size_bytes

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is worth knowing: a device that is too small, reencryption, segments without a key."""
        return self._findings

    @property
    def sector_size(self) -> int:
        """The smallest unit that can be decrypted alone, in bytes; the largest one where segments differ."""
        return max((extent.segment.sector_size for extent in self._extents), default=512)

    @property
    def lost(self) -> tuple[Extent, ...]:
        """The extents that are known beforehand to be unreadable; reading them raises ``OSError``."""
        return tuple(extent for extent in self._extents if extent.lost)

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Plaintext, fewer bytes at the end. Raises ``OSError`` where the device fails or an extent is lost."""
        out = bytearray(max(0, min(length_bytes, self.size_bytes - offset_bytes)))
        self.read_into(offset_bytes, memoryview(out))
        return bytes(out)

    def read_into(self, offset_bytes: int, target: memoryview) -> int:
        """Fill ``target`` with plaintext, as far as there is any; how many bytes that are. Raises as ``read_at``."""
        end = min(offset_bytes + len(target), self.size_bytes)
        at = offset_bytes
        while at < end:
            extent = self._extents[bisect_right(self._starts, at) - 1]
            length = min(end, extent.end_bytes) - at
            self._read_extent(extent, at - extent.start_bytes, target[at - offset_bytes : at - offset_bytes + length])
            at += length
        return max(0, end - offset_bytes)

    def _read_extent(self, extent: Extent, offset: int, target: memoryview) -> None:
        if extent.lost:
            raise OSError(errno.EIO, f"segment {extent.segment.id}: {extent.lost}")
        if extent.segment.type == "linear":
            target[:] = self._read_device(extent.device_offset_bytes + offset, len(target))
            return
        cipher = self._take_cipher(extent.segment)
        try:
            for at in range(0, len(target), PIECE_BYTES):
                self._decrypt(cipher, extent, offset + at, target[at : at + PIECE_BYTES])
        finally:
            self._idle[extent.segment.id].append(cipher)

    def _decrypt(self, cipher: SectorCipher, extent: Extent, offset: int, target: memoryview) -> None:
        """Decrypt a piece; where it begins or ends within a sector, by way of whole sectors."""
        sector = cipher.sector_size
        first, end = offset // sector * sector, -(-(offset + len(target)) // sector) * sector
        ciphertext = self._read_device(extent.device_offset_bytes + first, end - first)
        number = extent.first_sector_512 + first // 512
        if end - first == len(target):
            cipher.decrypt_into(ciphertext, target, number)
        else:
            plaintext = cipher.decrypt(ciphertext, number)
            target[:] = memoryview(plaintext)[offset - first :][: len(target)]

    def _read_device(self, offset: int, length: int) -> bytes:
        data = self._ciphertext.read_at(offset, length)
        if len(data) != length:
            raise OSError(errno.EIO, f"the device ends at byte {offset + len(data)}, earlier than when it was opened")
        return data

    def _take_cipher(self, segment: Segment) -> SectorCipher:
        try:
            return self._idle[segment.id].pop()
        except IndexError:
            return self._new_cipher(segment)

    def _new_cipher(self, segment: Segment) -> SectorCipher:
        return sector_cipher(
            segment.encryption,
            self._keys[segment.id],
            sector_size=segment.sector_size,
            iv_large_sectors=self._iv_large_sectors,
        )


def open_volume(
    ciphertext: Reader, header: Header, keys: Mapping[int, SecretBytes], *, header_reader: Reader | None = None
) -> DecryptedReader:
    """The volume that ``header`` describes, on the device ``ciphertext``. ``keys`` are volume keys by digest id.

    ``header_reader`` holds the header where that is detached: it tells what an interrupted reencryption was doing.
    Raises ``KeyRejected``, ``Unsupported``, ``DamagedInput``.
    """
    settled = settle(ciphertext, header, header_reader or ciphertext)
    by_segment = {segment: keys[digest] for segment, digest in settled.digests.items() if digest in keys}
    return DecryptedReader(settled.ciphertext, settled.segments, by_segment, findings=settled.findings)


def _without_keys(layout: Layout, unkeyed: set[int]) -> Layout:
    """The layout with the extents of the segments ``unkeyed`` marked as lost."""
    findings = [
        Finding("no-segment-key", Severity.WARNING, f"segments.{segment_id}", f"segment {segment_id}: {NO_KEY}")
        for segment_id in sorted(unkeyed)
    ]
    extents = [
        replace(extent, lost=extent.lost or NO_KEY) if extent.segment.id in unkeyed else extent
        for extent in layout.extents
    ]
    return Layout(tuple(extents), (*layout.findings, *findings))
