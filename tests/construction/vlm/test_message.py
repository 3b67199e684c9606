"""Which of the JSON values in a message is the answer."""

from __future__ import annotations

import json

import pytest

from la4vla.construction.vlm.proposals import BadAnswer, Timing, read_proposals


def answer(*instructions: str) -> str:
    """An answer whose segments share five seconds."""
    length = 5.0 / len(instructions)
    rows = [
        {"subaction": "move", "directions": [], "instruction": words, "start": n * length, "end": (n + 1) * length}
        for n, words in enumerate(instructions)
    ]
    return json.dumps({"segments": rows})


def bare(*instructions: str) -> str:
    """The same as the paper's bare list."""
    return json.dumps(json.loads(answer(*instructions))["segments"])


def read(text: str) -> list[str]:
    return [proposal.instruction for proposal in read_proposals(text, 5.0, 10.0, Timing())]


DRAFT, RIGHT = answer("draft", "more draft"), answer("right")


@pytest.mark.parametrize(
    "text",
    [
        f"Perhaps {DRAFT}. No, wait.</think>{RIGHT}",  # the chat template has opened the thoughts
        f"<think>{DRAFT}</think>\n{RIGHT}",
        f"<think>a</think> {DRAFT} </think> {RIGHT}",
        f"<THINKING>{DRAFT}</THINKING>{RIGHT}",
        f"◁think▷{DRAFT}◁/think▷{RIGHT}",
        f"{DRAFT}\nCorrected:\n{RIGHT}",
        f"```json\n{DRAFT}\n```\nCorrected:\n```json\n{RIGHT}\n```\nHope this helps [0].",
        f"{bare('draft')} Corrected: {RIGHT}",
        f"{DRAFT} Corrected: {bare('right')}",
        f"{DRAFT}{RIGHT}",
        f"In frames [3, 4 the hand {{moves}} (see [note]). {RIGHT}",
        f"[ {RIGHT}",  # a bracket that never closes
        f'[0.0, 5.0] {RIGHT} [] {{}} [1] {{"confidence": 0.9}}',
        f"[{DRAFT}, {RIGHT}]",
        f'{{"answer": {RIGHT}}}',
        f'{{"answer": {bare("right")}}}',
        f"{RIGHT} {'[' * 5000}",
        f"{DRAFT[:-20]} Again: {RIGHT}",
        f"<|begin_of_box|>{RIGHT}<|end_of_box|>",
    ],
)
def test_the_last_value_that_fits_is_the_answer(text):
    assert read(text) == ["right"]


@pytest.mark.parametrize(
    ("text", "objection"),
    [
        (f"{DRAFT}</think>", "it is empty"),
        (f"<think>{DRAFT}", "its thoughts do not end"),
        (f"{DRAFT}</think> I cannot say.", "there is no JSON in it"),
        (answer("a", "b").replace("}]}", "},]}"), r"no whole JSON \(.*'segments' is wanted"),  # a trailing comma
        (answer("a", "b").replace("}]}", "}],}"), r"no whole JSON \(.*'segments' is wanted"),
        (answer("a", "b")[:-1], "no whole JSON"),  # its list is whole, and yet a part
        # told of the answer, not of the prose
        (f"Look [here]: {answer('a', 'b')[:-9]}", r"no whole JSON .*char \d{3}"),
        (answer("a").replace("move", "hover") + " [1]", r"segments\.0\.subaction"),
        ("[]", "there are no segments"),
        ('{"segments": []}', "there are no segments"),
        (f'{DRAFT} Corrected: {{"segments": []}}', "there are no segments"),  # the last that fits, though it is no use
        ("[1, 2]", r"segments\.0: "),
    ],
)
def test_what_is_no_answer_is_told_why(text, objection):
    with pytest.raises(BadAnswer, match=objection):
        read(text)
