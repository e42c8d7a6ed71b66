"""Every way in which a packet no longer opens its volume, told by trying and by what was noted of it."""

from __future__ import annotations

import base64
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import escrow_samples as samples
import pytest
from generators.headers import PASSPHRASE, UUID, VOLUME_KEY, luks2_image, seeded_bytes, with_document

from luksafe.crypto.kdf_limits import KdfLimits
from luksafe.errors import DamagedInput, NotFound, Refused
from luksafe.escrow.contents import Contents, Secret
from luksafe.escrow.packet import seal
from luksafe.escrow.recipients.age import parse_recipient
from luksafe.luks.inspection import inspect
from luksafe.luks.model import Json
from luksafe.luks.seal import seal_keyslot
from luksafe.ops.escrow.found import FoundPacket, readable
from luksafe.ops.escrow.revoke import plan_revoke, revoke, still_opened
from luksafe.ops.escrow.summary import summarise
from luksafe.ops.escrow.verify import PacketVerdict, verify_by_notes, verify_opened
from luksafe.ops.escrow.volume import make_contents, prove_volume
from luksafe.ops.target import open_target
from luksafe.ops.workspace import Workspace
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes
from luksafe.vault.name import Kind
from luksafe.vault.packets import StoredPacket
from luksafe.vault.record import Proof

PHRASE = Secret("passphrase", SecretBytes(PASSPHRASE), 0)
KEY = Secret("volume-key", SecretBytes(VOLUME_KEY), 0)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "vault", state_folder=tmp_path / "state", host="nas")


def write(folder: Path, image: bytes) -> str:
    path = folder / "disk.img"
    path.write_bytes(image + bytes(1 << 20))
    return str(path)


def contents_of(workspace: Workspace, folder: Path, *secrets: Secret) -> Contents:
    """What a packet of the volume said when all was well."""
    with open_target(workspace, write(folder, luks2_image())) as target:
        return make_contents(workspace, prove_volume(target, passphrase=SecretBytes(PASSPHRASE)), secrets)


def enrolled_again() -> bytes:
    """Keyslot 0 with another passphrase."""

    def new_salt(document: Json) -> None:
        document["keyslots"]["0"]["kdf"]["salt"] = base64.b64encode(bytes(32)).decode()

    image = bytearray(with_document(luks2_image(), new_salt))
    keyslot = inspect(BytesReader(image)).require_header().keyslots[0]
    assert keyslot.area is not None
    area = seal_keyslot(keyslot, SecretBytes(b"another"), SecretBytes(VOLUME_KEY), seeded_bytes())
    image[keyslot.area.offset : keyslot.area.offset + len(area)] = area
    return bytes(image)


def erased(document: Json) -> None:
    document["keyslots"] = {}
    document["digests"]["0"]["keyslots"] = []


def greedy(document: Json) -> None:
    document["keyslots"]["0"]["kdf"]["memory"] = 1 << 30


CASES = [
    ("as it was", luks2_image(), PHRASE, "opens", "keyslot 0 opens"),
    ("erased", with_document(luks2_image(), erased), PHRASE, "not", "no keyslot that a passphrase could open"),
    ("enrolled again", enrolled_again(), PHRASE, "not", "keyslot 0, which it opened, was changed or is damaged"),
    ("its slot killed", enrolled_again(), replace(PHRASE, of=5), "not", "keyslot 5, which it opened, was killed"),
    ("its slot unknown", enrolled_again(), replace(PHRASE, of=None), "not", "no keyslot opens with it"),
    ("too costly", with_document(luks2_image(), greedy), PHRASE, "unknown", "memory"),
    ("another key", luks2_image(), replace(KEY, value=SecretBytes(bytes(64))), "not", "another volume key now"),
]


@pytest.mark.parametrize(("image", "secret", "state", "why"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_by_opening(workspace: Workspace, tmp_path: Path, image: bytes, secret: Secret, state: str, why: str) -> None:
    contents = contents_of(workspace, tmp_path, secret)
    with open_target(workspace, write(tmp_path, image)) as target:
        verdict = verify_opened(contents, target)
    assert (verdict.opens, verdict.secrets[0].state) == (state == "opens", state)
    assert why in verdict.secrets[0].why


def test_a_limit_of_memory_leaves_it_open(workspace: Workspace, tmp_path: Path) -> None:
    """Not tried is not the same as rejected."""
    contents = contents_of(workspace, tmp_path, PHRASE)
    with open_target(workspace, write(tmp_path, luks2_image())) as target:
        assert verify_opened(contents, target, KdfLimits(memory_kib=16)).secrets[0].state == "unknown"


def test_parameters_that_would_make_another_header_are_told(workspace: Workspace, tmp_path: Path) -> None:
    contents = contents_of(workspace, tmp_path, KEY)
    changed = with_document(luks2_image(), lambda d: d["segments"]["0"].update(sector_size=4096, iv_tweak="8"))
    with open_target(workspace, write(tmp_path, changed)) as target:
        verdict = verify_opened(contents, target)
    assert verdict.opens
    assert verdict.warnings == (
        "the packet says sector size 512, the header 4096",
        "the packet says IV offset 0, the header 8",
    )


def found(workspace: Workspace, folder: Path, *proofs: Proof) -> FoundPacket:
    recipient = parse_recipient(str(samples.age_identity().to_public()))
    sealed = seal(contents_of(workspace, folder, PHRASE), [recipient], seeded_bytes())
    return FoundPacket(sealed, "packet", "id", proofs=proofs)


def noted(workspace: Workspace, folder: Path, image: bytes, *proofs: Proof) -> PacketVerdict:
    packet = found(workspace, folder, *proofs)
    return verify_by_notes(packet, inspect(BytesReader(image)).require_header())


def proof_of(image: bytes) -> Proof:
    """As it is noted when a packet with the passphrase of keyslot 0 is saved."""
    from luksafe.ops.escrow.keeping import make_proof

    header = inspect(BytesReader(image)).require_header()
    return make_proof(Workspace(Path("unused")), "id", "passphrase", 0, header, "test")


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (luks2_image(), "keyslot 0 is the one that it opened"),
        (enrolled_again(), "keyslot 0 has another passphrase now"),
        (with_document(luks2_image(), erased), "keyslot 0 was killed"),
    ],
)
def test_by_notes(workspace: Workspace, tmp_path: Path, image: bytes, why: str) -> None:
    verdict = noted(workspace, tmp_path, image, proof_of(luks2_image()))
    assert (verdict.opens, verdict.secrets[0].why) == (image == luks2_image(), why)


def test_of_a_packet_that_was_never_proven_only_opening_tells(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nothing is noted") as caught:
        noted(workspace, tmp_path, luks2_image())
    assert "--identity" in caught.value.hint
    packet = found(workspace, tmp_path)
    with (
        open_target(workspace, str(tmp_path / "disk.img")) as target,
        pytest.raises(NotFound, match="nothing is noted of which keyslot"),
    ):
        plan_revoke(workspace, packet, None, target)


def test_a_keyslot_that_cannot_be_tried_is_not_revoked(workspace: Workspace, tmp_path: Path) -> None:
    packet = found(workspace, tmp_path)
    contents = contents_of(workspace, tmp_path, PHRASE)
    with open_target(workspace, write(tmp_path, luks2_image())) as target:
        with pytest.raises(DamagedInput, match="cannot be told"):
            plan_revoke(workspace, packet, contents, target, KdfLimits(memory_kib=16))
        with pytest.raises(NotFound, match="holds no passphrase"):
            plan_revoke(workspace, packet, replace(contents, secrets=()), target)


@pytest.mark.skipif(shutil.which("cryptsetup") is None, reason="cryptsetup is not installed")
def test_a_header_that_changed_since_the_plan_is_left_alone(workspace: Workspace, tmp_path: Path) -> None:
    packet, contents = found(workspace, tmp_path), contents_of(workspace, tmp_path, PHRASE)
    disk = write(tmp_path, luks2_image())
    with open_target(workspace, disk) as target:
        plan = plan_revoke(workspace, packet, contents, target)
        assert (plan.slot, plan.is_last) == (0, True)
        assert still_opened(workspace, plan) == []  # there is no vault yet
        subprocess.run(["cryptsetup", "config", disk, "--priority", "prefer", "--key-slot", "0"], check=True)
        before = Path(disk).read_bytes()
        with pytest.raises(Refused, match="the header changed meanwhile"):
            revoke(workspace, plan, target, print, allow_last=True)
    assert Path(disk).read_bytes() == before


def test_a_line_for_each_packet(workspace: Workspace, tmp_path: Path) -> None:
    """Without its public part there is little to say of one; without notes it is not called stale."""
    packet = found(workspace, tmp_path)
    assert packet.public is not None
    header = inspect(BytesReader(enrolled_again())).require_header()
    stored = [
        StoredPacket("a" * 32, UUID, Kind.SEALED_AGE, packet.packet.sealed, packet.public.to_bytes(), ("home",)),
        StoredPacket("b" * 32, UUID, Kind.SEALED_AGE, packet.packet.sealed, b"", ("home",), (proof_of(luks2_image()),)),
    ]
    whole, bare = summarise(readable(stored), header)
    assert (whole.kinds, whole.stale, whole.sealed_for[:6]) == (("passphrase",), "", "x25519")
    assert (bare.id, bare.kinds, bare.sealed_for) == ("b" * 16, (), "age")
    assert bare.stale == "keyslot 0 has another passphrase now"
