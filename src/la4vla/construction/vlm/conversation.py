"""The conversation about one episode: asked until an answer can be used."""

from __future__ import annotations

from dataclasses import dataclass

from la4vla.construction.vlm.answers import Answer, AnswerStore, digest
from la4vla.construction.vlm.bill import Usage
from la4vla.construction.vlm.endpoint import Endpoint, NoAnswer
from la4vla.construction.vlm.message import BadAnswer
from la4vla.construction.vlm.proposals import Proposal, Timing, answer_schema, read_proposals
from la4vla.construction.vlm.request import Question, told_back
from la4vla.data.unusable import UnusableEpisode

NOT_USABLE = "no usable answer"


@dataclass(frozen=True)
class Conversation:
    """What came of asking.

    Args:
        proposals: The proposals; none where there is a failure.
        failure: Why there are none.
        usage: What the answers cost, whenever they were paid.
        asked: Hashes of what was asked, in order, of all that was answered.
    """

    proposals: list[Proposal]
    failure: UnusableEpisode | None
    usage: Usage
    asked: list[str]


def converse(
    question: Question, endpoint: Endpoint, answers: AnswerStore, timing: Timing, attempts: int
) -> Conversation:
    """Ask ``question``; what is wrong with an answer is told back, until one can be used or ``attempts`` are spent.

    Answers that cannot be used are kept too, so that a rerun has the same conversation and pays for none of it.

    Raises:
        OSError: If the endpoint answers nobody.
    """
    usage, asked, messages = Usage(), list[str](), list(question.messages)
    reason, objection = NOT_USABLE, ""
    for _ in range(attempts):
        body = endpoint.body(messages, answer_schema())
        try:
            answer = answers.answer(body, lambda body: endpoint.ask(body, answers.holds_any()))
        except NoAnswer as none:
            return Conversation([], UnusableEpisode(question.key, none.reason, str(none)), usage, asked)
        usage += answer.usage
        asked.append(digest(body))
        try:
            proposals = read_proposals(answer.text, question.duration_s, question.control_hz, timing)
        except BadAnswer as bad:
            reason, why = _stopped(answer)
            objection = f"{why}{bad}"
            messages += told_back(answer, objection)
        else:
            return Conversation(proposals, None, usage, asked)
    sentence = f"none of {attempts} answers can be used; what is wrong with the last: {objection}."
    return Conversation([], UnusableEpisode(question.key, reason, sentence), usage, asked)


def _stopped(answer: Answer) -> tuple[str, str]:
    """Why an answer that cannot be used ended as it did: in two or three words, and how an objection begins."""
    if answer.refusal:
        return "refused by the model", f"it is a refusal ({answer.refusal[:200]!r}), so "
    if answer.finish_reason == "length":
        return "answer cut off", f"it was cut off after {answer.completion_tokens} tokens, so "
    if answer.finish_reason == "content_filter":
        return "content filter", "the provider's content filter stopped it, so "
    return NOT_USABLE, ""
