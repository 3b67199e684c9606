"""The packaged tokenizer: reproducible, short on robot English, lossless on everything."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from la4vla.models.backbones.tokenizer.train import ENTRIES, HERE, write


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(HERE)


def test_training_again_gives_the_packaged_files(tmp_path: Path) -> None:
    write(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / name).read_bytes() == (HERE / name).read_bytes()


@pytest.mark.parametrize(
    "text",
    [
        "Pick up a nut",
        "prends la pièce, 请打开抽屉",
        "🤖\t\r\n\x00 ",
        "Ünïcödé  two  spaces ",
        "<img> Image-1: Image-9: ",
    ],
)
def test_any_text_survives(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    assert tokenizer.decode(tokenizer(text)["input_ids"], clean_up_tokenization_spaces=False) == text


def test_robot_english_is_short(tokenizer: PreTrainedTokenizerBase) -> None:
    lengths = {
        text: len(tokenizer(text)["input_ids"])
        for text in (
            "Image-1: ",
            "</img>\n",
            "lift the object upward while holding it",
            "move forward and downward while holding nothing",
            "Bypass a wall and press a button from the top",
        )
    }
    assert list(lengths.values()) == [1, 2, 7, 7, 10]


def test_the_vocabulary_has_its_announced_size(tokenizer: PreTrainedTokenizerBase) -> None:
    assert len(tokenizer) == ENTRIES
