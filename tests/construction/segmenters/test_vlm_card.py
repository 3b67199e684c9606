"""From a card to shards by way of a model on loopback: what is segmented is written, what fails is counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from la4vla.construct import main
from la4vla.construction.build import build
from la4vla.construction.card import read_card
from la4vla.data.shards import Shards

READER = """
from __future__ import annotations
import runpy
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from la4vla.data.readers.base import Key, Reader
from la4vla.schema.episode import Episode
from la4vla.schema.view import Shot, ViewProfile

twin = runpy.run_path({program!r})

class Seen(Reader):
    embodiment = twin["ARM"]
    view = ViewProfile("seen", (Shot("left", 32),), size_px=32)

    def __init__(self, episodes: int = 5) -> None:
        self.episodes = episodes

    def keys(self, tasks: str | Sequence[str] = "all", episodes: int | None = None) -> list[Key]:
        return [("task", i) for i in range(self.episodes)][:episodes]

    def read(self, key: Key, frames: bool, dropped: Counter[str]) -> Episode:
        episode = twin["episode"](key[1])
        return episode if frames else replace(episode, frames={{}})

    def close(self) -> None:
        pass
"""
CARD = """
reader: {{class_path: seen_reader.Seen}}
segmenter:
  class_path: la4vla.construction.segmenters.hybrid.HybridSegmenter
  init_args:
    window_s: 0.1
    segmenter:
      class_path: la4vla.construction.segmenters.vlm.VLMSegmenter
      init_args:
        endpoint: {{base_url: "{url}", model: tiny-vl, retries: 0}}
        frames: {{rate_hz: 1.0, longest_px: 16}}
        price: {{prompt: 0.2, completion: 1.6}}
        folder: {folder}/answers
exports:
  la: {{unit: segment, frames: false}}
episodes_per_shard: 2
processes: 1
"""
GOOD = json.dumps(
    {
        "segments": [
            {"subaction": "grasp", "instruction": "grasp the object", "start": 0.0, "end": 1.5},
            {"subaction": "press", "instruction": "press the red button", "start": 1.5, "end": 3.0},
        ]
    }
)


@pytest.fixture
def card(tmp_path, monkeypatch, server) -> Path:
    program = str(Path(__file__).with_name("vlm_build.py"))
    (tmp_path / "seen_reader.py").write_text(READER.format(program=program))
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "seen.yaml"
    path.write_text(CARD.format(url=server.url, folder=tmp_path))
    return path


def test_a_dry_run_says_the_price_and_builds_nothing(card, server, capsys):
    main([str(card), "dry_run=true"])
    printed = capsys.readouterr().out
    assert "5 episodes, of which about 5 have no answer yet" in printed and "USD" in printed
    assert not server.asked and not list(card.with_suffix("").glob("la/*"))


def test_segments_become_records_and_failures_are_counted_and_listed(card, server, reply, capsys):
    server.script = lambda task, turn: reply(status=500) if task == "task 3" else reply(GOOD)
    main([str(card), "segmenter.init_args.segmenter.init_args.attempts=1"])
    shards = Shards(card.with_suffix("") / "la")
    assert {record.parent for record in shards.records} <= {f"episode-{n:03d}" for n in (0, 1, 2, 4)}
    kept = [record.instruction for record in shards.records]
    assert kept and not any("button" in words for words in kept)
    assert shards.manifest.dropped["not segmented: server error"] == 1
    (original, candidates, _) = shards.manifest.phases
    assert original["episodes"] == 5 and candidates["episodes"] == 8
    printed = " ".join(capsys.readouterr().out.split())
    assert "4 episodes segmented, 1 failed, 4 answers" in printed and "failed: episode-003" in printed
    assert "4 × identity" in printed


def test_what_a_server_said_is_printed_as_it_is(card, server, reply, capsys):
    server.script = lambda task, turn: reply(raw=b"[/b] bad gateway") if task == "task 3" else reply(GOOD)
    main([str(card)])
    printed = " ".join(capsys.readouterr().out.split())
    assert "4 episodes segmented, 1 failed" in printed and printed.count("but: '[/b] bad gateway'") == 2


def test_a_build_that_is_stopped_goes_on_from_its_answers(card, server, reply):
    server.script = lambda task, turn: reply(status=401) if task == "task 4" else reply(GOOD)
    with pytest.raises(OSError, match="refuses: status 401"):
        build(read_card([str(card)]))
    answered = dict(server.answered)
    server.script = lambda task, turn: reply(GOOD)
    build(read_card([str(card)]))
    assert len(answered) == 4 and len(server.answered) == 5 and set(server.answered.values()) == {1}


def test_the_card_in_the_documentation_is_one(tmp_path):
    page = Path(__file__).parents[3] / "docs" / "segmentation.md"
    path = tmp_path / "documented.yaml"
    path.write_text(page.read_text().split("```yaml\n")[1].split("```")[0])
    segmenter = read_card([str(path)]).card.segmenter
    assert segmenter.needs_frames and segmenter.segmenter.endpoint.api_key_env == "DASHSCOPE_API_KEY"
