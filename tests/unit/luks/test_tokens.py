"""Which keyslots die with the machine: those that only its TPM opens."""

from __future__ import annotations

import base64

import pytest
from generators.headers import luks2_image, with_document

from luksafe.luks.inspection import inspect
from luksafe.luks.tokens import explain_token, machine_bound_keyslots
from luksafe.reader import BytesReader


def jwe(protected: str) -> dict:
    return {"type": "clevis", "keyslots": ["0"], "jwe": {"protected": protected}}


def clevis(pin: str, spaces: str = "") -> str:
    text = f'{{"alg":"dir","clevis":{{"pin":{spaces}"{pin}"}}}}'
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


BOUND = [
    ({"type": "systemd-tpm2", "keyslots": ["0"]}, {0}),
    (jwe(clevis("tpm2")), {0}),
    (jwe(clevis("tpm2", " ")), {0}),
    (jwe(clevis("tang")), set()),
    (jwe("not base64 at all"), set()),
    (jwe("A"), set()),
    ({"type": "clevis", "keyslots": ["0"], "jwe": "text"}, set()),
    ({"type": "clevis", "keyslots": ["0"]}, set()),
    ({"type": "systemd-recovery", "keyslots": ["0"]}, set()),
    ({"type": "systemd-tpm2", "keyslots": []}, set()),
]


@pytest.mark.parametrize(("token", "bound"), BOUND)
def test_the_keyslots_that_only_the_tpm_opens(token, bound):
    image = with_document(luks2_image(), lambda document: document["tokens"].update({"0": token}))
    assert machine_bound_keyslots(inspect(BytesReader(image)).require_header()) == bound


def test_an_unknown_token_is_said_to_be_unknown():
    assert "recovery key" in explain_token("systemd-recovery")
    assert explain_token("novel") == "token of the unknown type 'novel'"
