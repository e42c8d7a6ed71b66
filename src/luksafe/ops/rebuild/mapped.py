"""What an active mapping says of its volume, and how it proves a key: by what it shows of its device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from luksafe.crypto.sectors import sector_cipher
from luksafe.device.crypt_table import CryptTable
from luksafe.device.identity import describe
from luksafe.device.mappings import Mapping, mappings_over
from luksafe.device.opening import real_path
from luksafe.device.uncached import read_uncached
from luksafe.errors import LuksafeError, Refused, Unsupported, UsageError
from luksafe.luks.create import Parameters
from luksafe.memory.verify import Sample
from luksafe.ops.mapping_header import DO_NOT_CLOSE
from luksafe.secret import SecretBytes

SECTOR_BYTES = 512
PLACES = 32
PLACE_BYTES = 16 << 10
ATTEMPTS = 3
PERSISTENT_FLAGS = {
    "allow_discards": "allow-discards",
    "same_cpu_crypt": "same-cpu-crypt",
    "submit_from_crypt_cpus": "submit-from-crypt-cpus",
    "no_read_workqueue": "no-read-workqueue",
    "no_write_workqueue": "no-write-workqueue",
}
"""dm-crypt's options, and how a LUKS2 header spells those that it keeps."""

AsLuks = Literal["", "luks1", "luks2"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many of the sectors that were compared decrypt to what the mapping shows."""

    equal: int
    compared: int

    @property
    def is_proof(self) -> bool:
        """One whole sector is proof of the key; that most agree proves that the device is the mapping's."""
        return self.equal > 0 and 2 * self.equal >= self.compared


def single_table(mapping: Mapping) -> CryptTable:
    """The one crypt target of a mapping that can be rebuilt. Raises LuksafeError, Refused, Unsupported in words."""
    name = mapping.name
    if mapping.is_key_wiped:
        raise Refused(
            f"the key of {name} is wiped: the mapping was suspended with luksSuspend, which takes it out of the kernel",
            code="key-wiped",
            hint=f"with a header backup: cryptsetup luksResume --header BACKUP {name}   (see: luksafe list)",
        )
    if mapping.is_suspended:
        raise Refused(
            f"{name} is suspended: reading it would wait for ever",
            code="suspended",
            hint=f"resume it first: dmsetup resume {name}",
        )
    if mapping.problem:
        raise LuksafeError(f"the table of {name} cannot be read: {mapping.problem}", hint="run it as root")
    if mapping.is_reencrypting or len(mapping.tables) != 1:
        raise Unsupported(
            f"{name} is in reencryption, or has several tables: its data have more than one key",
            hint=f"copy the data out of it now; {DO_NOT_CLOSE}",
        )
    table = mapping.tables[0]
    if table.integrity_tag_bytes or table.other_options or table.iv_large_sectors:
        raise Unsupported(
            f"{name} has integrity tags or options that no header made here can state",
            hint=f"restore a header backup (luksafe list), or copy the data out of it now; {DO_NOT_CLOSE}",
        )
    return table


def parameters_of(mapping: Mapping, as_luks: AsLuks = "", uuid: str = "") -> Parameters:
    """What a header of the mapping's volume has to say. Raises Refused for a mapping that is no LUKS, unless asked."""
    table = single_table(mapping)
    known: AsLuks = {"LUKS1": "luks1", "LUKS2": "luks2"}.get(mapping.type, "")  # type: ignore[assignment]
    if not known and not as_luks:
        raise Refused(
            f"{mapping.name} is {mapping.type or 'made by hand'}, not LUKS: it never had a header. "
            f"{describe_key(table)}; {describe_table(table)}",
            code="not-luks",
            hint="to put a LUKS header round its key all the same: --as-luks luks2 --uuid UUID --to FILE",
        )
    if not known and not uuid:
        raise UsageError("a mapping that is no LUKS has no UUID", hint="make one with uuidgen and give it by --uuid")
    format = as_luks or known or "luks2"
    flags = tuple(PERSISTENT_FLAGS[flag] for flag in table.flags if flag in PERSISTENT_FLAGS)
    return Parameters(
        format=format,
        uuid=mapping.luks_uuid or uuid,
        encryption=table.cipher,
        data_offset=table.offset_sectors * SECTOR_BYTES,
        sector_size=table.sector_size,
        iv_tweak=table.iv_offset_sectors,
        flags=flags if format == "luks2" else (),
    )


def describe_table(table: CryptTable) -> str:
    """A table's parameters in words."""
    return (
        f"cipher {table.cipher}, key of {table.key.size_bytes * 8} bits, sectors of {table.sector_size} bytes, "
        f"data at byte {table.offset_sectors * SECTOR_BYTES}, IV offset {table.iv_offset_sectors}"
    )


def describe_key(table: CryptTable) -> str:
    """Where the key of a table is, in words."""
    key = table.key
    if key.place == "table":
        return "its key stands in the device-mapper table"
    if key.place == "keyring":
        return f"its key is in the kernel keyring ({key.type} {key.description}), which programs cannot read"
    return "its key is not shown" if key.place == "zeros" else "it has no key"


def require_pair(mapping: Mapping, device: str) -> None:
    """Raise Refused unless the mapping stands directly on the device."""
    if mapping.name in {over.name for over in mappings_over(device)} and _is_directly_on(mapping, device):
        return
    raise Refused(
        f"{mapping.name} does not stand on {device}: it is on {mapping.device}",
        code="wrong-pair",
        hint=f"the device of this mapping: {mapping.device}",
    )


def mapping_over(device: str) -> Mapping | None:
    """The active mapping that stands directly on the device, when there is exactly one and its tables are known."""
    found = [m for m in mappings_over(device) if m.tables and _is_directly_on(m, device)]
    return found[0] if len(found) == 1 else None


def _is_directly_on(mapping: Mapping, device: str) -> bool:
    if not mapping.device:
        return False
    below, real = describe(mapping.device), str(real_path(device))
    if below.loop and below.loop.backing_file == real:
        return below.loop.offset_bytes == 0
    return str(real_path(mapping.device)) == real


def read_samples(mapping: Mapping, device: str, data_offset: int, iv_tweak: int) -> list[Sample]:
    """Pieces spread over the volume, as the device holds them and as the mapping shows them; past the page cache.

    What cannot be read is left out.
    """
    samples = []
    for at in _places(mapping.size_bytes):
        try:
            ciphertext = read_uncached(device, data_offset + at, PLACE_BYTES).data
            plaintext = read_uncached(mapping.path, at, PLACE_BYTES).data
        except OSError:
            continue
        samples.append(Sample(at // SECTOR_BYTES + iv_tweak, ciphertext, plaintext))
    return samples


def _places(size_bytes: int) -> Iterator[int]:
    step = max(PLACE_BYTES, size_bytes // PLACES)
    for at in range(0, max(1, size_bytes - PLACE_BYTES + 1), step):
        yield at // PLACE_BYTES * PLACE_BYTES


def agreement(mapping: Mapping, device: str, parameters: Parameters, key: SecretBytes) -> Agreement:
    """Decrypt sectors of the device with key and parameters, and compare them with what the mapping shows.

    Looks again when sectors differ: the volume may be written to meanwhile.
    """
    best = Agreement(0, 0)
    for _ in range(ATTEMPTS):
        samples = read_samples(mapping, device, parameters.data_offset, parameters.iv_tweak)
        best = max(best, compare(samples, parameters, key), key=lambda a: (a.equal, a.compared))
        if best.is_proof:
            break
    return best


def compare(samples: Sequence[Sample], parameters: Parameters, key: SecretBytes) -> Agreement:
    """How many whole sectors of the samples decrypt to what was shown."""
    size = parameters.sector_size
    cipher = sector_cipher(parameters.encryption, key, sector_size=size)
    equal = compared = 0
    for sample in samples:
        length = min(len(sample.ciphertext), len(sample.plaintext)) // size * size
        clear = cipher.decrypt(sample.ciphertext[:length], sample.iv_sector_512)
        places = range(0, length, size)
        compared += len(places)
        equal += sum(clear[at : at + size] == sample.plaintext[at : at + size] for at in places)
    return Agreement(equal, compared)
