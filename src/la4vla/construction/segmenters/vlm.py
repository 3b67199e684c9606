"""Segmentation by a vision-language model, over any endpoint that speaks OpenAI's protocol (LA4VLA, section 7.4)."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from statistics import mean
from typing import Any

from la4vla.construction.keyframes import KeyframeDetector
from la4vla.construction.segmenters.base import Pending, Segmenter
from la4vla.construction.vlm.answers import AnswerStore
from la4vla.construction.vlm.bill import Price, Usage, bill_line
from la4vla.construction.vlm.conversation import converse
from la4vla.construction.vlm.endpoint import Endpoint
from la4vla.construction.vlm.frames import FrameSampler, View
from la4vla.construction.vlm.ledger import Entry, Ledger
from la4vla.construction.vlm.proposals import Timing, answer_schema
from la4vla.construction.vlm.request import Question, estimated_tokens, write_question
from la4vla.construction.vlm.wording import word_segments
from la4vla.data.unusable import UnusableEpisode
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.episode import Episode, Segment

PAPERS_COMPLETION_TOKENS = 354


@dataclass(frozen=True)
class VLMSegmenter(Segmenter):
    """Shows a model the frames and keyframes of an episode and asks for its atomic segments.

    Every answer is kept in ``folder`` under a hash of what was asked, and so is what became of every episode: a rerun,
    after whatever end, asks only what has no answer yet.

    Args:
        endpoint: Where which model is asked.
        folder: Where answers and ledger are kept. It outlives the shard sets, and belongs to one card.
        frames: Which frames are shown.
        keyframes: Finds the hints that are given along.
        timing: What the times of an answer must fulfil.
        attempts: How often one episode is asked, the objection to each unusable answer told back.
        rewrite: Whether an instruction that breaks the rules is rewritten from its segment's own primitive, directions
            and status, and the segment left out where those do not tell enough. Else it is only listed.
        concurrency: Questions at once in each worker process; in all, ``processes`` of the card times as many.
        price: For the bill.
        image_token_px: Side of the square of pixels billed as one token, for the outlook: 32 for Qwen3-VL, 28 for
            Qwen2.5-VL.

    Raises:
        ValueError: If a number is out of range.
    """

    endpoint: Endpoint
    folder: str
    frames: FrameSampler = field(default_factory=FrameSampler)
    keyframes: KeyframeDetector = field(default_factory=KeyframeDetector)
    timing: Timing = field(default_factory=Timing)
    attempts: int = 3
    rewrite: bool = True
    concurrency: int = 8
    price: Price | None = None
    image_token_px: int = 32

    def __post_init__(self) -> None:
        if min(self.attempts, self.concurrency, self.image_token_px) < 1:
            raise ValueError(
                "attempts, concurrency and image_token_px must be at least 1, got "
                f"{self.attempts}, {self.concurrency} and {self.image_token_px}."
            )

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}  # threads do not travel to other processes

    def check(self, body: Embodiment) -> None:
        """Refuse a gripper whose transitions cannot be told."""
        self.keyframes.check(body)

    @property
    def needs_frames(self) -> bool:
        """Whether episodes must come with their frames."""
        return True

    def segment(self, episode: Episode) -> list[Segment]:
        """The segments of ``episode``, ascending and without overlap.

        Raises:
            UnusableEpisode: If the episode has no frames, or there is no usable answer.
            OSError: If the endpoint answers nobody.
        """
        return self.begin(episode).result()

    def begin(self, episode: Episode) -> Pending:
        """Take the frames of ``episode`` now, and ask aside."""
        try:
            question, _ = self._question(episode)
        except UnusableEpisode as unusable:
            self._ledger.write(Entry(episode.key, str(unusable), 0, Usage(), []))
            future: Future[list[Segment]] = Future()
            future.set_exception(unusable)
        else:
            future = self._threads.submit(self._segments, question)
        return Pending(future.result, future.cancel)

    def outlook(self, episodes: Iterable[Episode], total: int) -> list[str]:
        """Lines on what segmenting ``total`` episodes would cost, judged by a sample of them; nobody is asked."""
        asked = []
        for episode in episodes:
            try:
                asked.append(self._question(episode))
            except UnusableEpisode:
                continue  # it would cost nothing
        if not asked:
            return [f"None of the {total} episodes could be shown; there is nothing to ask."]
        schema, known = answer_schema(), self._ledger.entries()
        answered = mean(
            self._answers.path(self.endpoint.body(question.messages, schema)).exists() for question, _ in asked
        )
        tokens = mean(estimated_tokens(question, views, self.image_token_px) for question, views in asked)
        paid = [entry.usage.completion_tokens for entry in known if entry.failure is None]
        completion = mean(paid) if paid else PAPERS_COMPLETION_TOKENS
        open_ = round(total * (1 - answered))
        bill = bill_line(Usage(open_, round(tokens * open_), round(completion * open_)), open_, self.price)
        return [
            f"{total} episodes, of which about {open_} have no answer yet, judged by {len(asked)}; one answer each:",
            bill,
            f"an answer that cannot be used is asked for again, at most {self.attempts - 1} times per episode",
        ]

    def account(self) -> list[str]:
        """Lines on what segmenting has cost and which episodes failed."""
        return self._ledger.lines(self.price)

    def _question(self, episode: Episode) -> tuple[Question, list[View]]:
        views = self.frames.sample(episode)
        return write_question(episode, self.keyframes.detect(episode), views, answer_schema()), views

    def _segments(self, question: Question) -> list[Segment]:
        """Ask until an answer can be used, and enter in the ledger what came of it."""
        had = converse(question, self.endpoint, self._answers, self.timing, self.attempts)
        segments, violations = word_segments(had.proposals, question, self.rewrite)
        failure = str(had.failure) if had.failure else None
        self._ledger.write(Entry(question.key, failure, len(segments), had.usage, had.asked, violations))
        if had.failure:
            raise had.failure
        return segments

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.concurrency, thread_name_prefix="vlm")

    @cached_property
    def _answers(self) -> AnswerStore:
        return AnswerStore(Path(self.folder) / "answers")

    @cached_property
    def _ledger(self) -> Ledger:
        return Ledger(Path(self.folder) / "episodes")
