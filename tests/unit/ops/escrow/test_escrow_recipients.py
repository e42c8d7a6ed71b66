"""Recipients as they are typed, and the groups that one packet each is sealed to."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import escrow_samples as samples
import pytest

from luksafe.errors import NotFound, UsageError
from luksafe.ops.escrow.recipients import (
    group_recipients,
    packet_passphrase,
    read_recipient,
    recipient_oddities,
    split_shares,
)
from luksafe.secret import SecretBytes

AGE = str(samples.age_identity().to_public())


def test_spelled_out_and_from_files(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(f"# two\n{AGE}\n".encode() + samples.ssh_public(samples.ssh_key()))
    (tmp_path / "officer.pem").write_bytes(samples.pem(samples.certificate(samples.rsa_key())))
    found = [
        *read_recipient(AGE),
        *read_recipient(samples.ssh_public(samples.ssh_key()).decode()),
        *read_recipient(str(tmp_path / "keys")),
        *read_recipient(str(tmp_path / "officer.pem")),
    ]
    assert [recipient.scheme for recipient in found] == ["age"] * 4 + ["cms"]
    groups = group_recipients(found, SecretBytes(b"words\n"))
    assert [{r.scheme for r in group.recipients} for group in groups] == [{"age"}, {"cms"}, {"passphrase"}]
    assert [len(group.recipients) for group in groups] == [4, 1, 1]


@pytest.mark.parametrize("text", ["nobody", "", "age1", "ssh-rsa", "no/such/file"])
def test_what_is_no_recipient(text: str) -> None:
    with pytest.raises(UsageError):
        read_recipient(text)


def test_a_folder_is_no_file_of_recipients(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_recipient(str(tmp_path))


@pytest.mark.parametrize(("typed", "kept"), [(b"words", b"words"), (b"words\r\n", b"words"), (b" words ", b" words ")])
def test_a_line_end_is_no_part_of_a_packets_passphrase(typed: bytes, kept: bytes) -> None:
    assert packet_passphrase(SecretBytes(typed)).reveal() == kept


def test_an_empty_passphrase_is_refused() -> None:
    with pytest.raises(UsageError):
        packet_passphrase(SecretBytes(b"\n"))


@pytest.mark.parametrize("text", ["3/5", "3 / 5", "3of5"])
def test_shares_as_they_are_asked_for(text: str) -> None:
    group = split_shares(text, os.urandom)
    assert group.public_shares is not None
    assert (group.public_shares.threshold, group.public_shares.count, len(group.shares)) == (3, 5, 5)


@pytest.mark.parametrize("text", ["", "3", "5/3", "1/1", "3/17", "three/five", "3/5/7", "-1/2"])
def test_shares_that_cannot_be(text: str) -> None:
    with pytest.raises(UsageError):
        split_shares(text, os.urandom)


def test_odd_certificates_are_told_of(tmp_path: Path) -> None:
    old = samples.certificate(samples.rsa_key(), "Old Officer", days=30)
    (tmp_path / "old.pem").write_bytes(samples.pem(old))
    recipients = [*read_recipient(str(tmp_path / "old.pem")), *read_recipient(AGE)]
    [words] = recipient_oddities(recipients, samples.WHEN + timedelta(days=1))
    assert "Old Officer" in words
    assert "expired" in words
