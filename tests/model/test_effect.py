"""Configurations say which of their fields can change a mask."""

import json
from dataclasses import dataclass, field, fields, replace

import pytest

from model.bank import BankConfig
from model.effect import NO_EFFECT, effective, omit_at
from model.segmenter import SegmenterConfig


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float = 0.5
    backend: str = field(default="a", metadata=NO_EFFECT)
    later: int | None = field(default=None, metadata=omit_at(None))


@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: Inner = Inner()
    side: int = 4
    sharper: float = field(default=1.0, metadata=omit_at(0.0))


def test_values_come_nested_and_plain() -> None:
    assert effective(Outer()) == {"inner": {"rate": 0.5}, "side": 4, "sharper": 1.0}


def test_a_field_without_effect_is_left_out_whatever_its_value() -> None:
    assert effective(Outer(inner=Inner(backend="b"))) == effective(Outer())


def test_a_later_field_is_left_out_at_the_value_of_before() -> None:
    assert "sharper" not in effective(Outer(sharper=0.0))
    assert effective(Outer(sharper=0.5))["sharper"] == 0.5
    assert effective(Inner(later=0)) == {"rate": 0.5, "later": 0}


def test_three_fields_of_the_segmenter_have_no_effect() -> None:
    shown = effective(SegmenterConfig())
    bank = shown["bank"]
    assert isinstance(bank, dict)
    assert {f.name for f in fields(SegmenterConfig)} - shown.keys() == {"object_chunk", "workspace"}
    assert {f.name for f in fields(BankConfig)} - bank.keys() == {"segment_mean"}


@pytest.mark.parametrize("name", [f.name for f in fields(BankConfig) if f.name != "segment_mean"])
def test_every_other_one_of_the_bank_has(name: str) -> None:
    other = replace(BankConfig(), **{name: "another"})
    assert effective(SegmenterConfig(bank=other)) != effective(SegmenterConfig())


def test_values_can_be_written_as_json() -> None:
    assert json.loads(json.dumps(effective(SegmenterConfig()))) == effective(SegmenterConfig())
