"""From ratings to verified sets, through the verb's card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from la4vla.construct import main
from la4vla.construction.build import build, ensure_built
from la4vla.construction.card import read_card
from la4vla.construction.rating import Rating, write_ratings
from la4vla.data.shards import Shards

CARD = """
reader:
  class_path: la4vla.data.readers.metaworld_experts.MetaworldExperts
  init_args: {view: evo1_64, tasks: [coffee-button], episodes: 2, frame_every: 4}
segmenter: {class_path: KinematicSegmenter}
exports:
  vla: {unit: segment, frames: true}
  whole: {unit: episode, frames: false}
  verified_la: {unit: segment, frames: false, ratings: {path: RATINGS}}
  verified_vla: {unit: segment, frames: true, ratings: {path: RATINGS}}
processes: 1
"""


@pytest.fixture(scope="module")
def card(tmp_path_factory) -> Path:
    """A card whose candidates are built, and whose verified sets wait."""
    folder = tmp_path_factory.mktemp("verified")
    (folder / "tiny.yaml").write_text(CARD.replace("RATINGS", str(folder / "ratings.jsonl")))
    return folder / "tiny.yaml"


def test_rated_segments_become_an_la_set_and_its_twin(card, capsys):
    main([str(card)])
    told = capsys.readouterr().out
    assert "Export 'verified_la' waits for the ratings" in told and "export_to=" in told
    folder, ratings = card.with_suffix(""), card.parent / "ratings.jsonl"
    assert sorted(p.name for p in folder.iterdir() if p.is_dir()) == ["vla", "whole"]

    shown = Shards(folder / "vla")
    scores = [(3, 3), (2, 2), (1, 3), (1, 2), (0,)]  # kept: 3, 2, 2; dropped: 1.5, 0; the rest is not rated
    assert len(shown) > len(scores)
    first, second = shown.record(0), shown.record(1)
    write_ratings(
        ratings,
        [
            Rating(
                segment=info.key, annotator=f"a{i}", quality=score, confidence=0, shift_stop=-2 if row == 0 else 0,
                shift_start=-1 if row == 1 else 0, instruction=info.instruction,
            )
            for row, (info, each) in enumerate(zip(shown.records, scores, strict=False))
            for i, score in enumerate(each)
        ],
    )  # fmt: skip
    manifests = build(read_card([str(card)]))
    la, vla = Shards(folder / "verified_la"), Shards(folder / "verified_vla")
    assert la.records == vla.records and not la.cameras and vla.cameras == ("corner2",)
    np.testing.assert_array_equal(la.actions, vla.actions)
    assert [(r.key, r.quality) for r in la.records] == [
        (info.key, quality) for info, quality in zip(shown.records, (3.0, 2.0, 2.0), strict=False)
    ]
    np.testing.assert_array_equal(la.record(0).actions, first.actions[:-2])
    assert (la.records[1].start, len(la.record(1))) == (second.start - 1, len(second) + 1)
    whole = Shards(folder / "whole")
    parent = whole.record([info.key for info in whole.records].index(second.parent or ""))
    np.testing.assert_array_equal(la.record(1).actions, parent.actions[second.start - 1 : second.start + len(second)])

    phases = manifests["verified_la"].phases
    assert [row["phase"] for row in phases] == [
        "original episodes", "candidate segments", "consistent segments", "verified segments",
    ]  # fmt: skip
    assert phases[3]["episodes"] == 3 and phases[3]["frames"] == len(la.actions)
    assert phases[2]["episodes"] == len(shown) and len(manifests["vla"].phases) == 3
    dropped = manifests["verified_vla"].dropped
    assert dropped["quality below 2"] == 2 and dropped["not rated"] == len(shown) - 5

    write_ratings(ratings, [Rating(segment=shown.records[0].key, annotator="a0", quality=3, confidence=2)])
    with pytest.raises(ValueError, match=r"another declaration \(export\.ratings\.sha256: "):
        build(read_card([str(card)]))


def test_a_recipe_that_wants_a_waiting_set_is_told(tmp_path):
    (tmp_path / "w.yaml").write_text(CARD.replace("RATINGS", str(tmp_path / "none.jsonl")))
    with pytest.raises(ValueError, match=r"Export 'verified_la' waits for the ratings"):
        ensure_built(tmp_path / "w" / "verified_la")


def test_a_card_of_nothing_but_waiting_exports_says_what_it_waits_for(tmp_path):
    (tmp_path / "w.yaml").write_text(CARD.replace("RATINGS", str(tmp_path / "none.jsonl")))
    with pytest.raises(ValueError, match=r"waits for the ratings .*none\.jsonl: rate the segments with python -m"):
        read_card([str(tmp_path / "w.yaml"), "exports={v: {unit: segment, frames: true, ratings: {path: nope.jsonl}}}"
                   .replace("nope", str(tmp_path / "none"))])  # fmt: skip
