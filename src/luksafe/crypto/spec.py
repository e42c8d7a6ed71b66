"""Cipher specifications as dm-crypt and cryptsetup spell them: ``aes-xts-plain64``, ``capi:cbc(aes)-essiv:sha256`` …"""

from __future__ import annotations

import re
from dataclasses import dataclass

from luksafe.errors import Unsupported
from luksafe.wall import walled

_CAPI_SIMPLE = re.compile(r"(?P<mode>[a-z0-9]+)\((?P<cipher>[^()]+)\)")


def is_null_cipher(text: str) -> bool:
    """Whether a specification encrypts nothing, however it is spelled; cryptsetup asks in the same way."""
    return "cipher_null" in text or text.partition("-")[0] == "null"


@dataclass(frozen=True, slots=True)
class CipherSpec:
    """``cipher-chain_mode-iv:iv_option``; ``iv`` and ``iv_option`` are empty where there are none.

    Authenticated ciphers may have no mode but ``random``, as in ``chacha20-random``. ``key_count`` is the number of
    keys of ``aes:64-cbc-lmk`` (loop-AES), otherwise 1.
    """

    cipher: str
    chain_mode: str
    iv: str = ""
    iv_option: str = ""
    key_count: int = 1

    @classmethod
    @walled("the name of a cipher")
    def parse(cls, text: str) -> CipherSpec:
        """Read the spelling of a header or a dm-crypt table. Raises Unsupported for what dm-crypt refuses too."""
        if text.startswith("capi:"):
            return _parse_capi(text)
        if text in ("null", "cipher_null"):
            return cls("cipher_null", "ecb")
        cipher, _, rest = text.partition("-")
        cipher, key_count = _split_key_count(cipher, text)
        chain_mode, _, iv_part = rest.partition("-")
        iv, _, iv_option = iv_part.partition(":")
        if not chain_mode or (chain_mode == "plain" and not iv):  # the oldest spelling: "aes" and "aes-plain"
            chain_mode, iv = "cbc", "plain"
        return _checked(cls(cipher, chain_mode, iv, iv_option, key_count), text)

    def __str__(self) -> str:
        keys = f":{self.key_count}" if self.key_count != 1 else ""
        iv = f"-{self.iv}" if self.iv else ""
        option = f":{self.iv_option}" if self.iv_option else ""
        if set("-:") & set(self.cipher):  # the name of one implementation, such as ecb-aes-aesni
            return f"capi:{self.chain_mode}({self.cipher}){iv}{option}"
        return f"{self.cipher}{keys}-{self.chain_mode}{iv}{option}"


def _parse_capi(text: str) -> CipherSpec:
    """The kernel's own spelling, ``capi:mode(cipher)-iv:option``; adiantum names two ciphers."""
    body, _, option = text.removeprefix("capi:").rpartition(":") if ":" in text[5:] else (text[5:], "", "")
    algorithm, _, iv = body.rpartition("-") if "-" in body.rpartition(")")[2] else (body, "", "")
    match = _CAPI_SIMPLE.fullmatch(algorithm)
    if match is None:
        raise Unsupported(
            f"the cipher {text!r} is a construction of the kernel's crypto API that luksafe cannot do",
            hint="Open the volume with cryptsetup on a kernel that has this cipher.",
        )
    return _checked(CipherSpec(match["cipher"], match["mode"], iv, option), text)


def _split_key_count(cipher: str, text: str) -> tuple[str, int]:
    name, colon, count = cipher.partition(":")
    if not colon:
        return name, 1
    if not re.fullmatch(r"[0-9]{1,3}", count) or int(count) == 0:
        raise _not_a_cipher(text, "the number of keys is not a number above zero")
    return name, int(count)


def _checked(spec: CipherSpec, text: str) -> CipherSpec:
    if not spec.cipher or not text.isascii() or not text.isprintable():
        raise _not_a_cipher(text, "it names no cipher")
    if spec.chain_mode not in ("ecb", "random") and not spec.iv:
        raise _not_a_cipher(text, f"the mode {spec.chain_mode} needs an IV, such as plain64")
    if ":" in spec.iv:
        raise _not_a_cipher(text, f"{spec.iv!r} is the name of no IV")
    if spec.iv == "essiv" and not spec.iv_option:
        raise _not_a_cipher(text, "essiv needs a hash, as in essiv:sha256")
    return spec


def _not_a_cipher(text: str, why: str) -> Unsupported:
    return Unsupported(
        f"{text!r} is not a cipher specification that dm-crypt takes: {why}",
        hint="If the header is damaged, compare it with a backup.",
    )
