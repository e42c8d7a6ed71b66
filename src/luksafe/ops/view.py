"""View: what opens the decrypted data of a target, read-only, from a header or from parameters given by hand."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from luksafe.crypto.kdf import KdfLimits
from luksafe.device.source import DeviceReader, open_source
from luksafe.device.uncached import read_uncached
from luksafe.errors import KeyRejected, LuksafeError, Refused, UsageError
from luksafe.luks.finding import Severity
from luksafe.luks.model import Header, Json, Segment
from luksafe.luks.unlock import open_keyslot, unlock, verify_volume_key
from luksafe.ops.target import Target
from luksafe.ops.unwritten import UNWRITTEN, UNWRITTEN_WORDS, is_unwritten
from luksafe.probe.content import Content, recognise_content
from luksafe.probe.recognised import Confidence
from luksafe.reader import Reader, SliceReader
from luksafe.secret import SecretBytes
from luksafe.view.inside.volumes import InnerVolume, choose, inner_volumes
from luksafe.view.parameters import find_parameters
from luksafe.view.stream import DecryptedReader, open_volume

SMALLEST_PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class ByHand:
    """Parameters for a volume key without a header: sizes and offsets in bytes, ``iv_offset`` in 512-byte sectors."""

    cipher: str
    sector_size: int = 512
    data_offset: int = 0
    data_size: int | None = None
    iv_offset: int = 0
    iv_large_sectors: bool = False
    integrity: Json | None = None

    def segment(self) -> Segment:
        """As the one segment of a header."""
        place = (0, "crypt", self.data_offset, self.data_size, self.iv_offset)
        return Segment(*place, self.cipher, self.sector_size, self.integrity)


@dataclass(frozen=True, slots=True)
class ViewKey:
    """What opens it: a passphrase, or the volume key itself, with parameters where there is no header."""

    passphrase: SecretBytes | None = None
    volume_key: SecretBytes | None = None
    keyslot: int | None = None
    limits: KdfLimits = field(default_factory=KdfLimits)
    by_hand: ByHand | None = None


@dataclass(frozen=True, slots=True)
class View:
    """An opened volume; ``found`` is what it decrypts to, as blkid names it. Notes and warnings are for people."""

    volume: DecryptedReader
    uuid: str
    description: str
    found: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    def inner(self, name: str) -> InnerVolume:
        """The volume of that name inside; with no name the only one. Raises ``UsageError``, ``NotFound``."""
        return choose(inner_volumes(self.volume), name)


@contextmanager
def open_view(target: Target, key: ViewKey, *, data: Path | None = None, accept_noise: bool = False) -> Iterator[View]:
    """Open the data of a target, which stay open meanwhile.

    Raises ``KeyRejected``, ``DamagedInput``, ``Unsupported``, ``NotFound``; ``UsageError`` where no data are at hand;
    ``Refused`` where parameters given by hand give noise, unless ``accept_noise``.
    """
    path = data or target.data_path
    if path is None:
        raise UsageError(f"{target.description} holds no data", hint="name the device with them: --data DEVICE")
    with ExitStack() as stack:
        device = stack.enter_context(open_source(path))
        ciphertext: Reader = SectorReader(device)
        header = None if key.by_hand else target.inspection.require_header()
        if header is not None and header.offset:
            ciphertext = SliceReader(ciphertext, header.offset)
        if header is None:
            volume = _open_by_hand(ciphertext, key)
        else:
            keys = _keys(target.reader, header, key)
            for volume_key in keys.values():
                stack.callback(volume_key.wipe)
            volume = open_volume(ciphertext, header, keys, header_reader=target.reader)
        uuid = header.uuid if header else ""
        is_foreign = path != target.header_path
        data_offset = header.data_segments[0].offset if header else None  # by hand: where, is not known for sure
        yield _examine(volume, ciphertext, data_offset, key, uuid, target.description, is_foreign, accept_noise)


class SectorReader:
    """A device whose unreadable sectors are told one by one: the page cache fails whole pages, the medium does not."""

    def __init__(self, device: DeviceReader) -> None:
        self._device = device

    @property
    def size_bytes(self) -> int:
        """The size of the device."""
        return self._device.size_bytes

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Its bytes; where a page or less cannot be read, past the page cache. Raises ``OSError``."""
        try:
            return self._device.read_at(offset_bytes, length_bytes)
        except OSError as error:
            if error.errno != errno.EIO or length_bytes > SMALLEST_PAGE_BYTES or self._device.kind != "block":
                raise
            return read_uncached(self._device.path, offset_bytes, length_bytes).data


def _open_by_hand(ciphertext: Reader, key: ViewKey) -> DecryptedReader:
    if key.by_hand is None or key.volume_key is None:
        raise UsageError("parameters without a header need the volume key", hint="give --volume-key-file")
    segment = key.by_hand.segment()
    large = key.by_hand.iv_large_sectors
    return DecryptedReader(ciphertext, [segment], {segment.id: key.volume_key}, iv_large_sectors=large)


def _keys(reader: Reader, header: Header, key: ViewKey) -> Mapping[int, SecretBytes]:
    """The volume keys by digest: one, or in the middle of reencryption as many as the passphrase opens."""
    if key.volume_key is not None:
        fitting = [d.id for d in header.digests.values() if verify_volume_key(d, key.volume_key, key.limits)]
        if not fitting:
            raise KeyRejected("this is not the volume key: no digest of the header fits it", hint="give another one")
        return dict.fromkeys(fitting, key.volume_key)
    passphrase = key.passphrase or SecretBytes()
    opened = unlock(reader, header, passphrase, keyslot=key.keyslot, limits=key.limits)
    if opened.is_unbound:
        raise KeyRejected(
            f"keyslot {opened.keyslot} is unbound: its key decrypts no data",
            hint="use the passphrase of another keyslot",
        )
    keys = {opened.digest_id: opened.volume_key}
    for digest in header.digests.values():
        for slot_id in digest.keyslots if digest.segments else ():
            slot = header.keyslots.get(slot_id)
            if digest.id not in keys and slot is not None and slot.type == "luks2":
                with suppress(LuksafeError):
                    keys[digest.id] = open_keyslot(reader, header, slot, passphrase, key.limits).volume_key
    return keys


def _examine(
    volume: DecryptedReader,
    ciphertext: Reader,
    data_offset: int | None,
    key: ViewKey,
    uuid: str,
    description: str,
    is_foreign: bool,
    accept_noise: bool,
) -> View:
    """Look whether it makes sense. A key that is proven by its own header may well open a volume never written to."""
    content = _content(volume, ciphertext, data_offset)
    warnings = [finding.text for finding in volume.findings if finding.severity is not Severity.INFO]
    notes = [finding.text for finding in volume.findings if finding.severity is Severity.INFO]
    name = "noise" if content.name == "random" else content.name
    text = f"decrypts to {name}" if content.plausible else f"decrypts to {name}: {content.why}"
    if content.name == UNWRITTEN:
        text = f"{UNWRITTEN}: {content.why}"
    if content.plausible is not False:
        notes.append(text)
    elif key.by_hand is not None and key.volume_key is not None:
        better = find_parameters(ciphertext, key.by_hand.segment(), key.volume_key)
        text = f"{text}; but {better.text}" if better else text
        if not accept_noise:
            raise Refused(text, hint="correct the parameters; --accept-noise goes on all the same", code="noise")
        warnings.append(text)
    elif is_foreign:
        warnings.append(f"{text}. Is this the right device for this header?")
    else:
        notes.append(text)
    return View(volume, uuid, description, content.name, tuple(notes), tuple(warnings))


def _content(volume: Reader, ciphertext: Reader, data_offset: int | None) -> Content:
    try:
        content = recognise_content(volume)
    except OSError as error:
        return Content("unknown", f"the start of the volume cannot be read: {error}", Confidence.LIKELY, None)
    with suppress(OSError):
        if content.plausible is False and data_offset is not None and is_unwritten(ciphertext, data_offset):
            return Content(UNWRITTEN, UNWRITTEN_WORDS, Confidence.LIKELY, None)
    return content
