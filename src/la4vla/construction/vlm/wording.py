"""Proposals as segments, their instructions held to the rules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from la4vla.construction.instruction_rules import check_instruction, rewrite_instruction, stated_directions
from la4vla.construction.vlm.proposals import Proposal
from la4vla.construction.vlm.request import Question
from la4vla.schema.episode import Segment
from la4vla.schema.primitives import DEFINITIONS, Motion


def word_segments(
    proposals: Sequence[Proposal], question: Question, rewrite: bool
) -> tuple[list[Segment], list[dict[str, Any]]]:
    """The segments of ``proposals``, and the violations of the instruction rules met on the way.

    Only a translation's words are its directions, as in :func:`la4vla.construction.named.named`.

    Args:
        proposals: In order, without overlap.
        question: What was asked, for the episode's rate and length.
        rewrite: Whether an instruction that breaks a rule is replaced by one made from its segment; the segment is left
            out where that does not tell enough for one. Else such instructions are kept and listed.
    """
    segments, violations = [], []
    for proposal in proposals:
        start, stop = _step(proposal.start, question), _step(proposal.end, question)
        instruction: str | None = proposal.instruction
        found = check_instruction(proposal.instruction, proposal.subaction, proposal.directions, proposal.status)
        if found:
            instruction = _rewritten(proposal, f"{question.key}/{start}") if rewrite else instruction
            violations.append(
                {
                    "start": start,
                    "primitive": str(proposal.subaction),
                    "instruction": proposal.instruction,
                    "rules": sorted({violation.rule for violation in found}),
                    "details": [violation.detail for violation in found],
                    "kept": instruction,
                }
            )
        if instruction is not None:
            # Elsewhere such words command no motion: "hold still at the right place".
            translates = DEFINITIONS[proposal.subaction].motion is Motion.TRANSLATION
            directions = stated_directions(instruction, proposal.subaction) if translates else ()
            segments.append(Segment(start, stop, proposal.subaction, instruction, directions))
    return segments, violations


def _rewritten(proposal: Proposal, variant: str) -> str | None:
    try:
        return rewrite_instruction(
            proposal.instruction, proposal.subaction, proposal.directions, proposal.status, variant
        )
    except ValueError:
        return None  # the caller lists it as left out


def _step(time_s: float, question: Question) -> int:
    # Halves are always rounded up, so that a segment of at least one step keeps one.
    return min(max(math.floor(time_s * question.control_hz + 0.5), 0), question.steps)
