"""Rebuild: from a proven key to a header on the device, or in a file beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from luksafe.device.identity import DeviceFacts
from luksafe.device.location import is_stored_on
from luksafe.device.lock import metadata_lock
from luksafe.device.source import open_source
from luksafe.errors import LuksafeError, Refused
from luksafe.luks.create import KdfChoice
from luksafe.luks.inspection import Inspection
from luksafe.ops.interruption import require_no_interruption
from luksafe.ops.new_file import write_new_file
from luksafe.ops.rebuild.known import Known, Volume
from luksafe.ops.rebuild.new_header import NewHeader, make_header, prove_new_header
from luksafe.ops.rebuild.plan import Confidence, judge, plan_rebuild
from luksafe.ops.workspace import Workspace
from luksafe.ops.write.apply import Applied, apply
from luksafe.ops.write.plan import Danger, WritePlan
from luksafe.secret import SecretBytes

Say = Callable[[str], None]
REHEARSAL = KdfChoice("pbkdf2", iterations=1000)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A rebuild that nobody has confirmed, made with a passphrase that nobody knows: what speaks for and against it."""

    new: NewHeader
    confidence: Confidence
    plan: WritePlan | None

    @property
    def dangers(self) -> tuple[Danger, ...]:
        """All dangers: of the plan, or of the header alone when it goes to a file."""
        return self.plan.dangers if self.plan else self.confidence.dangers


def rehearse(workspace: Workspace, volume: Volume, known: Known, *, to_file: bool) -> Rehearsal:
    """Judge the key and plan the write before a passphrase is asked for. Raises Refused where it cannot be."""
    new = make_header(known, SecretBytes(workspace.random_bytes(32)), REHEARSAL, workspace.random_bytes)
    confidence = judge(volume, known, new)
    if to_file:
        return Rehearsal(new, confidence, None)
    require_no_interruption(workspace, volume.facts)
    return Rehearsal(new, confidence, plan_rebuild(volume, known, new, confidence))


def final_plan(
    workspace: Workspace, volume: Volume, known: Known, passphrase: SecretBytes, kdf: KdfChoice, confidence: Confidence
) -> WritePlan:
    """The plan with the passphrase that was chosen."""
    return plan_rebuild(volume, known, make_header(known, passphrase, kdf, workspace.random_bytes), confidence)


def write_to_device(
    workspace: Workspace, volume: Volume, plan: WritePlan, known: Known, passphrase: SecretBytes, say: Say
) -> tuple[Applied, Inspection]:
    """Carry out the plan, then open what is on the device with the new passphrase. The dangers were accepted before.

    The mapping over it may be active: it keeps its key and its table, and its data begin behind the header. A device
    that nobody used when the plan was made is ours alone. Raises Busy when somebody has it by now.
    """
    done = apply(plan, workspace, allow_in_use=bool(volume.uses), say=say)
    try:
        with open_source(plan.target.path) as reader, metadata_lock(plan.target.path):
            return done, prove_new_header(reader, passphrase, known.key)
    except LuksafeError as problem:
        problem.hint = f"take it back: luksafe undo {plan.target.path}"
        raise


def write_to_file(
    workspace: Workspace, facts: DeviceFacts, known: Known, passphrase: SecretBytes, kdf: KdfChoice, path: Path
) -> NewHeader:
    """Write the header to a new file (0600, synced, read back) and open it. Raises Refused on the volume itself."""
    if is_stored_on(path.absolute().parent, facts):
        raise Refused(
            f"{path} would lie on the volume that it opens",
            code="on-its-volume",
            hint="name a place on another disk, such as a USB stick",
        )
    new = make_header(known, passphrase, kdf, workspace.random_bytes)
    write_new_file(path, new.image)
    with open_source(path) as reader:
        prove_new_header(reader, passphrase, known.key)
    return new
