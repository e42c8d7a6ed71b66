"""What the token types of known tools are, and what a keyslot bound to one needs to open."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from luksafe.luks.model import Header


@dataclass(frozen=True, slots=True)
class TokenKind:
    """A known token type: a few words for people, and whether it needs this very machine (TPM) to open."""

    text: str
    is_bound_to_machine: bool = False


KNOWN_TOKENS = {
    "luks2-keyring": TokenKind("passphrase taken from a kernel keyring"),
    "systemd-recovery": TokenKind("recovery key made by systemd-cryptenroll"),
    "systemd-tpm2": TokenKind("key sealed in this machine's TPM (systemd-cryptenroll)", is_bound_to_machine=True),
    "systemd-fido2": TokenKind("key derived by a FIDO2 token (systemd-cryptenroll)"),
    "systemd-pkcs11": TokenKind("key encrypted to a smart card (systemd-cryptenroll)"),
    "clevis": TokenKind("key bound by clevis (tang server, TPM or a combination)"),
    "ssh": TokenKind("passphrase fetched over ssh (cryptsetup's example plugin)"),
}


def explain_token(token_type: str) -> str:
    """A few words about a token type; says so when it is not known."""
    kind = KNOWN_TOKENS.get(token_type)
    return kind.text if kind else f"token of the unknown type {token_type!r}"


def machine_bound_keyslots(header: Header) -> set[int]:
    """The keyslots that only this machine's TPM can open."""
    bound = {
        keyslot
        for token in header.tokens.values()
        for keyslot in token.keyslots
        if (token.type in KNOWN_TOKENS and KNOWN_TOKENS[token.type].is_bound_to_machine) or _is_clevis_tpm(token.raw)
    }
    return bound & set(header.keyslots)


def _is_clevis_tpm(raw: dict[str, object]) -> bool:
    """Whether a clevis token is pinned to the TPM alone: its JWE header says so in Base64."""
    jwe = raw.get("jwe")
    protected = jwe.get("protected") if isinstance(jwe, dict) else None
    return raw.get("type") == "clevis" and isinstance(protected, str) and _mentions_tpm2_pin(protected)


def _mentions_tpm2_pin(protected: str) -> bool:
    try:
        text = base64.urlsafe_b64decode(protected + "=" * (-len(protected) % 4))
    except (binascii.Error, ValueError):
        return False
    return b'"pin":"tpm2"' in text.replace(b" ", b"")
