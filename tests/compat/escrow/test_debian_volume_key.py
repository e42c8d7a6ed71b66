"""Debian's volume_key reads the packets that we write, and restores access with them."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import escrow_samples as samples
import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from luksafe.escrow.recipients.x509 import X509Recipient
from luksafe.escrow.volume_key.model import VolumeKeyPacket
from luksafe.escrow.volume_key.packet import (
    Keys,
    open_packet,
    write_cleartext,
    write_for_certificate,
    write_secret_wrapped,
    write_with_passphrase,
)
from luksafe.secret import SecretBytes

WORDS = SecretBytes(b"words for the packet")
TYPED = b"words for the packet\0"
CERTIFICATE = samples.certificate(samples.rsa_key(), "Escrow Officer")
FORMATS = ["cleartext", "passphrase", "asymmetric", "secret-wrapped"]


def need(*tools: str) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def write(packet: VolumeKeyPacket, form: str) -> bytes:
    if form == "cleartext":
        return write_cleartext(packet)
    if form == "passphrase":
        return write_with_passphrase(packet, WORDS, os.urandom)
    writer = write_for_certificate if form == "asymmetric" else write_secret_wrapped
    return writer(packet, X509Recipient(CERTIFICATE))


@pytest.fixture(scope="module")
def nss(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An NSS database with the officer's key, as volume_key wants it."""
    need("certutil", "pk12util")
    folder = tmp_path_factory.mktemp("nss")
    bundle = pkcs12.serialize_key_and_certificates(
        b"officer", samples.rsa_key(), CERTIFICATE, None, BestAvailableEncryption(b"p12")
    )
    (folder / "key.p12").write_bytes(bundle)
    subprocess.run(["certutil", "-N", "-d", folder, "--empty-password"], check=True)
    command = ["pk12util", "-i", folder / "key.p12", "-d", folder, "-W", "p12", "-K", ""]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def volume_key(form: str, nss: Path, tmp_path: Path, *arguments: str | Path, typed: bytes = b"") -> str:
    need("volume_key", "gpg")
    options = ["-d", str(nss)] if form in ("asymmetric", "secret-wrapped") else []
    typed = (TYPED if form == "passphrase" else b"") + typed
    home = {"HOME": str(tmp_path), "GNUPGHOME": str(tmp_path)}
    done = subprocess.run(
        ["volume_key", *map(str, arguments), "--batch", *options],
        input=typed, capture_output=True, env=os.environ | home, timeout=120,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(done.stderr.decode())
    return done.stdout.decode()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("case", ["vk-alpha-l1-cleartext", "vk-alpha-l2-cleartext"])
def test_key_packets_are_read(corpus: Any, tmp_path: Path, nss: Path, form: str, case: str) -> None:
    expected = corpus.cases[case]["packet"]
    packet = open_packet(corpus.data(case, "packet"), Keys())
    (tmp_path / "packet").write_bytes(write(packet, form))
    secrets = volume_key(form, nss, tmp_path, "--secrets", tmp_path / "packet")
    assert expected["data_encryption_key_hex"] in secrets
    dump = volume_key(form, nss, tmp_path, "--dump", tmp_path / "packet")
    assert f"Volume UUID:\t{expected['volume_uuid']}" in dump
    assert f"Volume path:\t{expected['volume_path']}" in dump
    assert f"Key size (bits):\t{expected['key_bits']}" in dump


@pytest.mark.parametrize("form", FORMATS)
def test_passphrase_packets_are_read(tmp_path: Path, nss: Path, form: str) -> None:
    secret = SecretBytes(b"a passphrase")
    packet = VolumeKeyPacket("passphrase", secret, "host", samples.UUID, "", "/dev/sda", passphrase_slot=3)
    (tmp_path / "packet").write_bytes(write(packet, form))
    assert "a passphrase" in volume_key(form, nss, tmp_path, "--secrets", tmp_path / "packet")
    assert "Passphrase slot:\t3" in volume_key(form, nss, tmp_path, "--dump", tmp_path / "packet")


@pytest.mark.slow  # volume_key measures the machine for the new keyslot's iterations
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("case", ["vk-alpha-l1-cleartext", "vk-alpha-l2-cleartext"])
def test_access_is_restored(corpus: Any, tmp_path: Path, nss: Path, form: str, case: str) -> None:
    need("cryptsetup", "volume_key")
    image = tmp_path / "image"
    image.write_bytes(corpus.data(case, "image"))
    subprocess.run(["cryptsetup", "luksErase", "-q", image], check=True)
    packet = replace(open_packet(corpus.data(case, "packet"), Keys()), volume_path=str(image))
    (tmp_path / "packet").write_bytes(write(packet, form))
    try:
        volume_key(form, nss, tmp_path, "--restore", image, tmp_path / "packet", typed=b"new words\0new words\0")
    except RuntimeError as error:
        if "l2" in case and "getting information about volume" in str(error):
            pytest.skip("this volume_key opens LUKS1 volumes only")
        raise
    command = ["cryptsetup", "open", "--test-passphrase", image, "--key-file", "-"]
    assert subprocess.run(command, input=b"new words").returncode == 0
