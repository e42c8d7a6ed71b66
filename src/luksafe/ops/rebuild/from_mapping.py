"""The volume key of an active mapping: from its table, from a key that programs may read, else from memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from luksafe.device.keyring import readable_keys
from luksafe.device.mappings import Mapping, find_mapping
from luksafe.errors import KeyRejected
from luksafe.luks.create import Parameters
from luksafe.memory.sources.kcore import KCORE
from luksafe.ops.mapping_header import DO_NOT_CLOSE
from luksafe.ops.rebuild.from_memory import Progress, find_key_in_memory
from luksafe.ops.rebuild.known import KeySource
from luksafe.ops.rebuild.mapped import (
    AsLuks,
    agreement,
    describe_key,
    parameters_of,
    read_samples,
    require_pair,
    single_table,
)
from luksafe.secret import SecretBytes

Say = Callable[[str], None]


def key_of_mapping(
    name: str, device: str, *, as_luks: AsLuks = "", uuid: str = "", say: Say, progress: Progress | None = None
) -> KeySource:
    """Key and parameters of the mapping ``name``, which must stand on ``device``; proven by what the mapping shows.

    Raises Refused for a wrong pair, a wiped key and a mapping that is no LUKS; KeyRejected where no key is found.
    """
    mapping = find_mapping(name)
    require_pair(mapping, device)
    parameters = parameters_of(mapping, as_luks, uuid)
    say(f"{mapping.name} is open: {DO_NOT_CLOSE}")
    key, where = _find_key(mapping, device, parameters, say, progress)
    return KeySource(key, f"mapping {mapping.name}, {where}", parameters)


def _find_key(
    mapping: Mapping, device: str, parameters: Parameters, say: Say, progress: Progress | None
) -> tuple[SecretBytes, str]:
    table = single_table(mapping)
    if table.key.secret is not None:
        return table.key.secret, "its device-mapper table"
    for key, where in _from_keyring(mapping, device, parameters):
        return key, where
    say(f"{describe_key(table)}; looking for it in the memory of the kernel ({KCORE})")
    try:
        samples = read_samples(mapping, device, parameters.data_offset, parameters.iv_tweak)
        key, why = find_key_in_memory(KCORE, table.key.size_bytes, parameters, samples, (), progress)
    except KeyRejected as problem:
        problem.hint = f"copy the data out of {mapping.path} now; {DO_NOT_CLOSE}"
        raise
    return key, f"the kernel's memory ({why})"


def _from_keyring(mapping: Mapping, device: str, parameters: Parameters) -> Iterator[tuple[SecretBytes, str]]:
    """A key of type ``user`` that is linked where this process may read it, as ``--link-vk-to-keyring`` does."""
    for found in readable_keys(single_table(mapping).key.size_bytes):
        if agreement(mapping, device, parameters, found.payload).is_proof:
            yield found.payload, f"the key {found.description} in the kernel keyring"
            return
        found.payload.wipe()
