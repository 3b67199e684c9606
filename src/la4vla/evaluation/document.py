"""A report on many evaluations: tables, comparisons, charts and a film."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from la4vla.data.files import written_whole
from la4vla.evaluation.bars import plot_bars
from la4vla.evaluation.comparison import compare
from la4vla.evaluation.episode_sets import episode_sets
from la4vla.evaluation.outcomes import Outcome
from la4vla.evaluation.paper_table import Columns, paper_table, rows_of
from la4vla.evaluation.report import markdown
from la4vla.evaluation.robustness import plot_robustness, robustness_markdown
from la4vla.evaluation.runs import EvaluatedRun, read_runs
from la4vla.evaluation.video import write_grid

APART = (
    "Evaluations on different episodes stand in tables apart, numbered by episode set: rates, gains and standard "
    "deviations are over the same episodes within a table, and tell nothing from one table to another.\n"
)
FILMS = 5  # side by side in one row of the grid, a row for each policy


@dataclass(frozen=True)
class Document:
    """What is reported, and how.

    Args:
        paths: Folders of evaluations, at any depth, or CSV files of outcomes. Evaluations of one policy name on the
            same episodes are taken for runs of different training seeds; those on other episodes stand in tables apart.
        out: Folder of the report.
        columns: Columns of the tables: "groups" as in the paper's Table 4, "tasks" as in its Table 6.
        baseline: Name of the policy that the others are compared with; None takes the first.
        tasks: Whether each policy's rates by task follow, with their intervals.
        films: Whether films are shown side by side, where there are some.
    """

    paths: Sequence[str]
    out: str = "runs/report"
    columns: Columns = "groups"
    baseline: str | None = None
    tasks: bool = True
    films: bool = True

    def write(self) -> tuple[str, list[Path]]:
        """Write ``report.md`` and what it shows; its text, and the files written.

        Raises:
            ValueError: If there is nothing to report, or no policy of the baseline's name.
        """
        runs = self._ordered(read_runs(self.paths))
        folder = Path(self.out)
        folder.mkdir(parents=True, exist_ok=True)
        parts = episode_sets(runs)
        sections, files = [APART] if any(part.number for part in parts) else [], []
        for part in parts:
            for perturbation in part.perturbations:
                mine = [run for run in part.runs if run.setting[1] == perturbation]
                title = f"{part.title}, {perturbation}" if perturbation else part.title
                sections += [f"# {title}\n", paper_table(rows_of(mine), self.columns)]
                if not perturbation:  # the disturbed ones are drawn together, as curves
                    files.append(plot_bars(folder / f"{part.stem}.png", rows_of(mine), title))
                    sections.append(f"![{title}]({files[-1].name})\n")
                sections += _comparisons(mine)
                if self.tasks:
                    sections += [markdown(row.whole, row.policy) for row in rows_of(mine)]
        drawn = [part for part in parts if part.curve_outcomes]
        for part in drawn:
            name = "robustness" if len(drawn) == 1 else f"{part.stem}_robustness"
            files.append(plot_robustness(folder / f"{name}.png", part.curve_outcomes))
            heading = "Robustness" if len(parts) == 1 else f"Robustness: {part.title}"
            sections.append(f"# {heading}\n\n![robustness]({files[-1].name})\n")
            sections.append(robustness_markdown(part.curve_outcomes))
        filmed = [run for run in runs if run.films and not run.setting[1]]
        shown = [run.films[:FILMS] for run in filmed]
        if self.films and shown:
            files.append(write_grid(folder / "rollouts.mp4", shown, names=[run.policy for run in filmed]))
        text = "\n".join(sections)
        with written_whole(folder / "report.md") as file:
            file.write(text.encode())
        return text, [folder / "report.md", *files]

    def _ordered(self, runs: list[EvaluatedRun]) -> list[EvaluatedRun]:
        """The baseline first, the others as they came."""
        if self.baseline is None:
            return runs
        if self.baseline not in (names := {run.policy for run in runs}):
            raise ValueError(f"No policy is named {self.baseline}; there are {', '.join(sorted(names))}.")
        return sorted(runs, key=lambda run: run.policy != self.baseline)


def _comparisons(runs: Sequence[EvaluatedRun]) -> Iterator[str]:
    """Every policy against the first, all of the same episodes; of several runs the k-th are paired."""
    named: dict[str, list[EvaluatedRun]] = {}
    for run in runs:
        named.setdefault(run.policy, []).append(run)
    first, *others = named
    if not others:
        return
    lines = [
        f"Against {first}, episode by episode (exact McNemar test):\n",
        "| policy | episodes | only it solved | only the other | difference | p | detectable at 80 % power |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for other in others:
        ours, theirs = _numbered(named[other]), _numbered(named[first])
        if len(named[other]) != len(named[first]):
            lines.append(f"| {other} | other runs than {first}: not paired | | | | | |")
            continue
        comparison = compare(ours, theirs)
        lines.append(
            f"| {other} | {comparison.episodes} | {comparison.wins} | {comparison.losses} | "
            f"{100 * comparison.difference:+.1f} | {comparison.p_value:.3g} | "
            f"{100 * comparison.detectable_difference:.1f} |"
        )
    yield "\n".join(lines) + "\n"


def _numbered(runs: Sequence[EvaluatedRun]) -> list[Outcome]:
    """All outcomes, the run's number in the name of the benchmark, so that equal episodes of two runs stay apart."""
    return [
        replace(outcome, benchmark=f"{outcome.benchmark} {number}")
        for number, run in enumerate(runs)
        for outcome in run.outcomes
    ]
