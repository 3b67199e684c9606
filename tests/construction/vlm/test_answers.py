"""Answers are kept under what was asked; a lock that a killed process left behind bars nobody."""

from __future__ import annotations

import errno
import json

import pytest

from la4vla.construction.vlm.answers import Answer, AnswerStore, digest

ANSWER = Answer("[]", "tiny-vl", "stop", 10, 2)
BODY = {"model": "tiny-vl", "messages": [{"role": "user", "content": "é"}], "temperature": 0.0}


def test_an_answer_is_asked_for_once_and_depends_on_everything_sent(tmp_path):
    store, asked = AnswerStore(tmp_path), []

    def ask(body):
        asked.append(body)
        return ANSWER

    other = {**BODY, "temperature": 0.1}
    assert [store.answer(body, ask) for body in (BODY, BODY, dict(reversed(BODY.items())), other)] == [ANSWER] * 4
    assert asked == [BODY, other] and digest(BODY) != digest(other)
    assert sorted(tmp_path.rglob("*.json")) == sorted(map(store.path, (BODY, other)))
    assert json.loads(store.path(BODY).read_bytes())["completion_tokens"] == 2


def test_leftovers_of_a_killed_process_are_no_answer_and_no_hindrance(tmp_path):
    store = AnswerStore(tmp_path)
    path = store.path(BODY)
    path.parent.mkdir(parents=True)
    path.with_name(f".{path.stem}.lock").touch()
    path.with_name(f".{path.name}.part").write_bytes(b'{"text": "ha')
    assert store.answer(BODY, lambda body: ANSWER) == ANSWER
    assert list(path.parent.iterdir()) == [path]


def test_a_question_without_answer_leaves_none(tmp_path):
    store = AnswerStore(tmp_path)

    def refuse(body):
        raise OSError(errno.ECONNREFUSED, "nobody there")

    with pytest.raises(OSError, match="nobody there"):
        store.answer(BODY, refuse)
    assert store.answer(BODY, lambda body: ANSWER) == ANSWER
