"""What a hand at another keyboard would have typed: a short list of variants of a passphrase."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator

from luksafe.secret import SecretBytes

# What the keys of a US keyboard give under the layout, key by key: unshifted and shifted.
_US = "`1234567890-=qwertyuiop[]asdfghjkl;'\\zxcvbnm,./" + '~!@#$%^&*()_+QWERTYUIOP{}ASDFGHJKL:"|ZXCVBNM<>?'
_LAYOUTS = {
    "German": "^1234567890ß´qwertzuiopü+asdfghjklöä#yxcvbnm,.-" + "°!\"§$%&/()=?`QWERTZUIOPÜ*ASDFGHJKLÖÄ'YXCVBNM;:_",
    "French": "²&é\"'(-è_çà)=azertyuiop^$qsdfghjklmù*wxcvbn,;:!" + "~1234567890°+AZERTYUIOP¨£QSDFGHJKLM%µWXCVBN?./§",
}

Change = Callable[[str], str]


def variants(passphrase: SecretBytes) -> Iterator[tuple[str, SecretBytes]]:
    """Variants with what was changed in words, each once and none the passphrase itself; at most two dozen.

    One that is no UTF-8 has only those of its last byte.
    """
    original = bytes(passphrase.view)
    seen = {original}
    for words, data in _all(original):
        if data not in seen:
            seen.add(data)
            yield words, SecretBytes(data)


def _all(original: bytes) -> Iterator[tuple[str, bytes]]:
    if original.endswith((b"\n", b"\r")):
        yield "without the newline at its end", original.rstrip(b"\r\n")
    yield "with a newline at its end", original + b"\n"
    try:
        text = original.decode()
    except UnicodeDecodeError:
        return
    changes: dict[str, Change] = {
        "with caps lock on": str.swapcase,
        "all in upper case": str.upper,
        "all in lower case": str.lower,
        "with its first letter in the other case": lambda t: t[:1].swapcase() + t[1:],
        "without the spaces round it": str.strip,
        "with a space at its end": lambda t: t + " ",
        "with y and z exchanged": lambda t: t.translate(str.maketrans("yzYZ", "zyZY")),
        "in composed characters (NFC)": lambda t: unicodedata.normalize("NFC", t),
        "in decomposed characters (NFD)": lambda t: unicodedata.normalize("NFD", t),
    }
    yield from ((words, change(text).encode()) for words, change in changes.items())
    for name, keys in _LAYOUTS.items():
        yield f"typed on a {name} keyboard set to US", _retyped(text, keys, _US).encode()
        yield f"typed on a US keyboard set to {name}", _retyped(text, _US, keys).encode()
    yield from _in_old_encodings(text)


def _retyped(text: str, meant: str, got: str) -> str:
    """The keys that give ``text`` under one layout, pressed under the other."""
    return text.translate({ord(a): b for a, b in zip(meant, got, strict=True)})


def _in_old_encodings(text: str) -> Iterator[tuple[str, bytes]]:
    for encoding, name in (("latin-1", "Latin-1"), ("cp437", "code page 437")):
        try:
            yield f"encoded as {name}", text.encode(encoding)
        except UnicodeEncodeError:
            continue
