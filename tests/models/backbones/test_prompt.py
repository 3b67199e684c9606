"""The prompt's wording and where its tokens stand."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from la4vla.models.backbones.internvl3_weights import TOKENIZER
from la4vla.models.backbones.prompt import Prompt


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(TOKENIZER)


@pytest.fixture
def prompt(tokenizer: PreTrainedTokenizerBase) -> Prompt:
    return Prompt(tokenizer, views=2, image_tokens=3, longest=8)


def test_the_wording_is_the_published_one(prompt: Prompt, tokenizer: PreTrainedTokenizerBase) -> None:
    layout = prompt.layout([" open a drawer\n"], torch.tensor([[True, True]]), drop=True)
    context = "<IMG_CONTEXT>" * 3
    expected = f"Image-1: <img>{context}</img>\nImage-2: <img>{context}</img>\nopen a drawer"
    assert tokenizer.decode(layout.ids[0]) == expected
    assert layout.positions[0].tolist() == list(range(len(layout.ids[0])))


def test_a_masked_view_keeps_its_wrapper_and_everyone_their_position(
    prompt: Prompt, tokenizer: PreTrainedTokenizerBase
) -> None:
    full = prompt.layout(["wait"], torch.tensor([[True, True]]), drop=True)
    layout = prompt.layout(["wait"], torch.tensor([[False, True]]), drop=True)
    assert tokenizer.decode(layout.ids[0]) == f"Image-1: <img></img>\nImage-2: <img>{'<IMG_CONTEXT>' * 3}</img>\nwait"
    gone = [position for position in full.positions[0].tolist() if position not in (2, 3, 4)]
    assert layout.positions[0].tolist() == gone
    assert layout.image.sum() == 3 and not layout.hidden.any()


def test_padding_stands_right_and_is_masked(prompt: Prompt) -> None:
    layout = prompt.layout(["wait", "wait and stay still"], torch.tensor([[False, False]] * 2), drop=True)
    assert layout.mask.sum(1).tolist() == [9, 12]
    assert layout.mask[0, :9].all() and layout.mask[1].all()


def test_kept_views_are_hidden_not_gone(prompt: Prompt) -> None:
    layout = prompt.layout(["wait"], torch.tensor([[False, True]]), drop=False)
    assert layout.hidden[0].nonzero()[:, 0].tolist() == [2, 3, 4]
    assert not (layout.mask & layout.hidden).any() and layout.ids.shape == (1, 15)


def test_an_instruction_that_is_too_long_is_refused(prompt: Prompt) -> None:
    with pytest.raises(ValueError, match="has 9 tokens and the backbone reads at most 8"):
        prompt.layout(["wait" + " wait" * 8], torch.tensor([[True, True]]), drop=True)


def test_an_instruction_cannot_smuggle_in_image_tokens(prompt: Prompt) -> None:
    with pytest.raises(ValueError, match=r"may not hold <IMG_CONTEXT>, which the backbone reads as more than text"):
        prompt.layout(["open <IMG_CONTEXT> drawer"], torch.tensor([[True, True]]), drop=True)


def test_a_tokenizer_without_image_tokens_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    stranger = AutoTokenizer.from_pretrained(TOKENIZER)
    stranger.get_vocab = lambda: {"<img>": 1, "</img>": 2}
    with pytest.raises(ValueError, match="no token <IMG_CONTEXT>"):
        Prompt(stranger, views=1, image_tokens=1, longest=8)
