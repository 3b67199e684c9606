"""Ranges that a few values stretch are told, with the dimension and the factor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from la4vla.construct import main
from la4vla.construction.data_card import write_data_card
from la4vla.construction.outliers import outlier_sentences
from la4vla.data.manifest import Manifest
from la4vla.data.statistics import StatisticsStream
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.statistics import Domain

BODY = Embodiment("arm", ("x_m", "opening"), ("dx_m", "suction"), (), control_hz=10.0)


def _domain(glitch: float | None, suction: float = 0.0) -> Domain:
    """A thousand steps of even motion; one of them is ``glitch``, and suction is on in one."""
    even = np.stack([np.linspace(-1, 1, 1000), np.linspace(0, 1, 1000)], axis=1)
    felt, told = even.copy(), np.stack([even[:, 0] / 10, np.zeros(1000)], axis=1)
    if glitch is not None:
        felt[500, 0] = glitch
    told[7, 1] = suction
    parts = []
    for rows in (felt, told):
        stream = StatisticsStream()
        stream.update("only", rows)
        parts.append(stream.finish())
    return Domain(BODY, None, *parts)


def test_even_motion_is_not_worth_a_word() -> None:
    assert outlier_sentences([_domain(None)]) == []


def test_an_outlier_is_named_with_its_factor() -> None:
    (sentence,) = outlier_sentences([_domain(None), _domain(97.0), _domain(49.0)])
    assert sentence.startswith("proprioception `x_m` goes from -1 to 97, 49.9 times as far as")
    assert "leaves 98 % of the values 2.0% of [-1, 1]" in sentence


def test_a_rare_switch_is_told_apart() -> None:
    (sentence,) = outlier_sentences([_domain(None, suction=1.0)])
    assert "action `suction` goes from 0 to 1, but is 0 in at least 98 % of the steps" in sentence


def test_a_constant_and_statistics_that_are_not_recorded_are_left_out() -> None:
    domain, unknown = _domain(None), np.full(2, np.nan)
    nothing = replace(domain.actions, minimum=unknown, maximum=unknown, q01=unknown, q99=unknown)
    assert outlier_sentences([replace(domain, actions=nothing)]) == []


@pytest.mark.parametrize(("glitch", "words"), [(0.0, 0), (9.0, 1)])
def test_the_data_card_has_a_line_for_it(moving_card, tmp_path, glitch: float, words: int) -> None:
    main([str(moving_card), "reader.init_args.episodes=2"])
    folder = tmp_path / "moving"
    manifest = Manifest.read(folder / "la")
    felt = manifest.domain.proprioception
    high = felt.maximum.copy()
    high[0] += glitch
    domain = replace(manifest.domain, proprioception=replace(felt, maximum=high))
    write_data_card(folder, {"la": replace(manifest, domain=domain)}, None)
    text = (folder / "README.md").read_text()
    assert text.count("Ranges that a few values stretch:") == words
    assert text.count("- proprioception `x_m` goes from") == words
