"""``python -m la4vla.evaluate CARD.yaml policy=...``: what a policy can do, measured."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from la4vla.cli import run_verb, screen

if TYPE_CHECKING:
    from la4vla.evaluation.outcomes import Outcome


def main(words: Sequence[str] | None = None) -> None:
    """Evaluate a policy on a benchmark, or go on with it, and print what came out."""
    from la4vla.evaluation.card import read_card
    from la4vla.evaluation.report import table
    from la4vla.evaluation.robustness import plot_robustness, robustness_table

    evaluation, folder = read_card(sys.argv[1:] if words is None else words)
    console = screen()
    outcomes: list[Outcome] = []
    for place, result in evaluation.run(folder):
        outcomes += result.outcomes
        perturbation = result.outcomes[0].perturbation
        console.print(table(result.summary, f"{evaluation.label}: {evaluation.benchmark.name} {perturbation}".strip()))
        retries = f", {result.retries} episode(s) begun again after a simulator died or hung" if result.retries else ""
        console.print(f"Rows, report and films are in {place}{retries}.", markup=False, highlight=False, soft_wrap=True)
    if evaluation.perturbations:
        console.print(robustness_table(outcomes))
        drawn = plot_robustness(folder / "robustness.png", outcomes)
        console.print(f"Drawn in {drawn}.", markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    run_verb(main)
