"""What is told when nothing is left of a data set."""

from __future__ import annotations

import pytest

from la4vla.construction.build import build
from la4vla.construction.card import read_card


def test_every_demonstration_is_listed_where_none_can_be_used(moving_card, tmp_path):
    words = [str(moving_card), "reader={class_path: moving_arm.BrokenArm, init_args: {episodes: 5}}"]
    with pytest.raises(
        ValueError,
        match=r"no demonstration could be used. 5 demonstrations were left out, each for the reason in .*left_out\.txt",
    ):
        build(read_card(words))
    listed = (tmp_path / "moving" / "la" / "left_out.txt").read_text().splitlines()
    assert [line.split(":")[0] for line in listed] == [
        f"Episode fetch-{index:04d} is left out (broken data)" for index in range(5)
    ]
    assert not (tmp_path / "moving" / "la" / "manifest.json").exists()
    build(read_card([str(moving_card)]))
    assert (tmp_path / "moving" / "la" / "manifest.json").exists()
    assert not (tmp_path / "moving" / "la" / "left_out.txt").exists()


def test_candidates_are_told_of_only_where_there_were_any(moving_card):
    words = [str(moving_card), "reader.init_args.episodes=2", "exports={la: {unit: segment, frames: false}}"]
    words.append("segmenter.init_args.max_waits=0")
    nothing = ["segmenter.init_args.settle_s=0", "segmenter.init_args.min_s=9"]
    with pytest.raises(ValueError, match="the segmenter found nothing in 2 demonstrations") as caught:
        build(read_card([*words, *nothing]))
    assert "candidate" not in str(caught.value)
