"""Every validation check fails for its own reason, and only for that."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from generators.headers import document_of, luks2_image

from luksafe.luks.finding import Severity
from luksafe.luks.luks2.validate import validate

DOCUMENT = document_of(luks2_image())


def set_at(path: str, value: Any) -> Callable[[dict], None]:
    def change(document: dict) -> None:
        *parents, last = path.split("/")
        for name in parents:
            document = document[name]
        if value is None:
            del document[last]
        else:
            document[last] = value

    return change


def reencrypting(document: dict) -> None:
    """A document in a state that reencryption leaves behind."""
    document["config"]["requirements"] = {"mandatory": ["online-reencrypt-v2"]}
    segment = document["segments"]["0"]
    document["segments"]["1"] = {**segment, "flags": ["backup-previous"]}
    document["segments"]["2"] = {**segment, "flags": ["backup-final"]}
    document["digests"]["0"]["segments"] = ["0", "1", "2"]
    document["keyslots"]["1"] = {
        "type": "reencrypt",
        "key_size": 1,
        "mode": "reencrypt",
        "direction": "forward",
        "area": {"type": "checksum", "offset": "786432", "size": "4096", "hash": "sha256", "sector_size": 512},
    }


FAULTS = [
    ("no config", set_at("config", None), "json-member"),
    ("config is no object", set_at("config", []), "json-member"),
    ("requirements are no object", set_at("config/requirements", []), "json-member"),
    ("mandatory is no array", set_at("config/requirements", {"mandatory": {}}), "json-member"),
    ("mandatory holds a number", set_at("config/requirements", {"mandatory": [1]}), "json-member"),
    (
        "two reencryptions",
        set_at("config/requirements", {"mandatory": ["online-reencrypt", "online-reencrypt-v2"]}),
        "requirement-twice",
    ),
    ("no tokens", set_at("tokens", None), "json-member"),
    ("token name", set_at("tokens/x", {"type": "a", "keyslots": []}), "number-form"),
    ("token type missing", set_at("tokens/0", {"keyslots": []}), "json-member"),
    ("token type empty", set_at("tokens/0", {"type": "", "keyslots": []}), "json-member"),
    ("token keyslot unknown", set_at("tokens/0", {"type": "a", "keyslots": ["7"]}), "dangling-reference"),
    ("token keyslot number", set_at("tokens/0", {"type": "a", "keyslots": [0]}), "json-member"),
    ("digest without type", set_at("digests/0/type", None), "json-member"),
    ("digest keyslot unknown", set_at("digests/0/keyslots", ["9"]), "dangling-reference"),
    ("digest segment unknown", set_at("digests/0/segments", ["9"]), "dangling-reference"),
    ("no segment", set_at("segments", {}), "dangling-reference"),
    ("segment without type", set_at("segments/0/type", None), "json-member"),
    ("segment offset number", set_at("segments/0/offset", 1048576), "json-member"),
    ("segment offset text", set_at("segments/0/offset", "1M"), "number-form"),
    ("segment offset huge", set_at("segments/0/offset", "9" * 21), "number-range"),
    ("segment offset unaligned", set_at("segments/0/offset", "1048577"), "segment-alignment"),
    ("segment size zero", set_at("segments/0/size", "0"), "segment-size"),
    ("segment size unaligned", set_at("segments/0/size", "511"), "segment-alignment"),
    ("segment size signed", set_at("segments/0/size", "-512"), "number-form"),
    ("segment flags", set_at("segments/0/flags", [1]), "json-member"),
    ("segment without cipher", set_at("segments/0/encryption", None), "json-member"),
    ("sector size text", set_at("segments/0/sector_size", "512"), "json-member"),
    ("sector size bool", set_at("segments/0/sector_size", True), "json-member"),
    ("sector size odd", set_at("segments/0/sector_size", 100), "sector-size"),
    ("sector size huge", set_at("segments/0/sector_size", 1 << 33), "number-range"),
    ("iv tweak dynamic", set_at("segments/0/iv_tweak", "dynamic"), "number-form"),
    ("integrity text", set_at("segments/0/integrity", "hmac"), "json-member"),
    ("integrity type", set_at("segments/0/integrity", {}), "json-member"),
    (
        "size no multiple of sector",
        lambda d: d["segments"]["0"].update(size="512", sector_size=4096),
        "segment-alignment",
    ),
    ("segment without digest", set_at("digests/0/segments", []), "segment-without-digest"),
    ("only backups", set_at("segments/0/flags", ["backup-final"]), "segments-empty"),
    ("keyslots no object", set_at("keyslots", []), "json-member"),
    ("keyslot name", set_at("keyslots/a", {"type": "luks2"}), "number-form"),
    ("keyslot type", set_at("keyslots/0/type", None), "json-member"),
    ("keyslot key size", set_at("keyslots/0/key_size", -1), "number-range"),
    ("json size text", set_at("config/json_size", "12k"), "number-form"),
    ("json size illegal", set_at("config/json_size", "20480"), "header-size"),
    ("json size other", set_at("config/json_size", "28672"), "keyslots-size"),
    ("keyslots size odd", set_at("config/keyslots_size", "4097"), "keyslots-size"),
    ("keyslots size too large", set_at("config/keyslots_size", str(129 << 20)), "keyslots-size"),
    ("keyslots reach into the data", set_at("config/keyslots_size", str(1 << 20)), "keyslots-size"),
    ("config flags", set_at("config/flags", [1]), "json-member"),
    ("area missing", set_at("keyslots/0/area", None), "json-member"),
    ("area in header", set_at("keyslots/0/area/offset", "4096"), "area-in-header"),
    ("area empty", set_at("keyslots/0/area/size", "0"), "area-empty"),
    ("area beyond", set_at("keyslots/0/area/size", str(1 << 20)), "area-overflow"),
    ("area huge", set_at("keyslots/0/area/size", str(2**64 - 1)), "area-overflow"),
    ("kdf missing", set_at("keyslots/0/kdf", None), "json-member"),
    ("kdf time missing", set_at("keyslots/0/kdf/time", None), "json-member"),
    ("kdf salt empty", set_at("keyslots/0/kdf/salt", ""), "json-member"),
    ("af type", set_at("keyslots/0/af/type", "luks9"), "af-type"),
    ("af stripes", set_at("keyslots/0/af/stripes", "4000"), "json-member"),
    ("area type", set_at("keyslots/0/area/type", "cooked"), "area-type"),
    ("no digest for keyslot", set_at("digests/0/keyslots", []), "keyslot-digest"),
]


def faults(change: Callable[[dict], None], json_size: int = 12288) -> list[str]:
    document = copy.deepcopy(DOCUMENT)
    change(document)
    return [f.code for f in validate(document, json_size) if f.severity is Severity.ERROR]


def test_the_document_is_valid():
    assert validate(copy.deepcopy(DOCUMENT), 12288) == []


@pytest.mark.parametrize(("change", "code"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_each_fault_is_named(change, code):
    assert faults(change) == [code]


def test_the_json_size_must_be_that_of_the_area():
    assert faults(lambda d: None, 28672) == ["json-size-mismatch"]


def test_overlapping_areas():
    def change(document: dict) -> None:
        document["keyslots"]["1"] = copy.deepcopy(document["keyslots"]["0"])
        document["digests"]["0"]["keyslots"] = ["0", "1"]

    assert faults(change) == ["area-overlap"]


def test_leftover_kdf_parameters_are_only_a_warning():
    document = copy.deepcopy(DOCUMENT)
    document["keyslots"]["0"]["kdf"]["iterations"] = 1000
    assert [(f.code, f.severity) for f in validate(document, 12288)] == [("kdf-leftover", Severity.WARNING)]


def test_unknown_keyslot_types_tokens_and_members_are_left_alone():
    document = copy.deepcopy(DOCUMENT)
    document["keyslots"]["5"] = {
        "type": "novel",
        "key_size": 7,
        "area": {"type": "x", "offset": "819200", "size": "512"},
    }
    document["tokens"]["3"] = {"type": "mine", "keyslots": [], "anything": {"deep": [1, 2.5, None]}}
    document["extra"] = 1
    document["segments"]["0"]["more"] = "x"
    assert validate(document, 12288) == []


class TestSegments:
    def two(self, **second: Any) -> Callable[[dict], None]:
        def change(document: dict) -> None:
            document["segments"]["0"]["size"] = "1048576"
            document["segments"]["1"] = {**document["segments"]["0"], "offset": "2097152", **second}
            document["digests"]["0"]["segments"] = ["0", "1"]

        return change

    def test_two_in_a_row_are_valid(self):
        assert faults(self.two()) == []

    def test_overlap(self):
        assert faults(self.two(offset="1049088")) == ["segment-overlap"]

    def test_only_the_last_may_be_dynamic(self):
        def change(document: dict) -> None:
            self.two()(document)
            document["segments"]["0"]["size"] = "dynamic"

        assert faults(change) == ["segment-size"]

    def test_gap_in_the_numbers(self):
        def change(document: dict) -> None:
            self.two()(document)
            document["segments"]["3"] = document["segments"].pop("1")
            document["digests"]["0"]["segments"] = ["0", "3"]

        assert faults(change) == ["segment-gap"]

    def test_overflow(self):
        assert faults(self.two(offset=str(2**64 - 512), size="1024")) == ["segment-overlap"]

    def test_a_regular_one_behind_a_backup(self):
        def change(document: dict) -> None:
            self.two()(document)
            document["segments"]["0"]["flags"] = ["backup-final"]

        assert faults(change) == ["segment-order"]

    def test_opal(self):
        def opal(**more: Any) -> Callable[[dict], None]:
            fields = {"type": "hw-opal", "size": "1048576", "opal_segment_number": 1, "opal_key_size": 32}
            return lambda d: d["segments"]["0"].update({**fields, "opal_segment_size": "1048576", **more})

        assert faults(opal()) == []
        assert faults(opal(type="hw-opal-crypt")) == []
        assert faults(opal(size="dynamic")) == ["segment-size"]
        assert faults(opal(opal_segment_size="512")) == ["segment-size"]


class TestReencryption:
    def test_valid(self):
        assert faults(reencrypting) == []

    @pytest.mark.parametrize(
        ("path", "value", "code"),
        [
            ("keyslots/1/key_size", 2, "reencrypt-keyslot"),
            ("keyslots/1/mode", "shuffle", "reencrypt-keyslot"),
            ("keyslots/1/direction", "up", "reencrypt-keyslot"),
            ("keyslots/1/area/sector_size", 700, "reencrypt-keyslot"),
            ("keyslots/1/area/hash", None, "json-member"),
            ("keyslots/1/type", "other", "reencrypt-keyslot-missing"),
            ("config/requirements", {}, "requirement-missing"),
            ("segments/0/encryption", "serpent-xts-plain64", "segment-foreign"),
            ("segments/2/flags", ["backup-x"], "backup-segment-missing"),
        ],
    )
    def test_faults(self, path, value, code):
        def change(document: dict) -> None:
            reencrypting(document)
            set_at(path, value)(document)

        assert faults(change) == [code]

    def test_datashift(self):
        def shifted(size: str) -> Callable[[dict], None]:
            def change(document: dict) -> None:
                reencrypting(document)
                document["keyslots"]["1"]["area"] = {
                    "type": "datashift",
                    "offset": "786432",
                    "size": "4096",
                    "shift_size": size,
                }

            return change

        assert faults(shifted("4096")) == []
        assert faults(shifted("100")) == ["reencrypt-keyslot"]

    def test_two_reencrypt_keyslots(self):
        def change(document: dict) -> None:
            reencrypting(document)
            document["keyslots"]["2"] = copy.deepcopy(document["keyslots"]["1"])
            document["keyslots"]["2"]["area"]["offset"] = "790528"

        assert faults(change) == ["reencrypt-keyslot-twice"]
