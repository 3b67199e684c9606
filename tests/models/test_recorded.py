"""Constructors' arguments are remembered, whoever calls whom."""

from __future__ import annotations

import copy
import inspect
import pickle

from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.models.recorded import Recorded


class Parent(Recorded):
    """Takes two numbers."""

    def __init__(self, first: int, second: int = 2) -> None:
        super().__init__()


class Child(Parent):
    """Gives its parent one of them."""

    def __init__(self, third: str = "c") -> None:
        super().__init__(first=7)


class Heir(Parent):
    """Adds no constructor of its own."""


def test_defaults_are_written_out() -> None:
    assert Parent(1).arguments == {"first": 1, "second": 2}
    assert Parent(first=1, second=3).arguments == {"first": 1, "second": 3}
    assert Heir(4).arguments == {"first": 4, "second": 2}


def test_the_outermost_constructor_counts() -> None:
    assert Child("x").arguments == {"third": "x"}


def test_copies_keep_them() -> None:
    assert copy.deepcopy(Parent(1)).arguments == {"first": 1, "second": 2}
    head = FlowMatchingHead(8, layers=1, heads=1, hidden=4)
    assert pickle.loads(pickle.dumps(head)).arguments == head.arguments


def test_the_signature_stays_visible() -> None:
    assert list(inspect.signature(FlowMatchingHead).parameters)[:2] == ["width", "horizon"]
