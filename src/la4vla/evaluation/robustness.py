"""How success falls as the disturbance grows: one curve for each policy and perturbation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from rich.table import Table

from la4vla.data.files import written_whole
from la4vla.evaluation.outcomes import Outcome
from la4vla.evaluation.perturbations import Perturbation
from la4vla.evaluation.success import SuccessRate

Curves = dict[str, dict[str, list[tuple[float, SuccessRate]]]]
COLOURS = ("#4269d0", "#ff725c", "#3ca951", "#efb118", "#a463f2", "#6cc5b0", "#9c6b4e", "#97bbf5")
HEADINGS = ("perturbation", "level", "policy", "success", "95 % interval")
MARKERS = "os^D"  # one after the other, each time the colours are used up


def robustness_curves(outcomes: Iterable[Outcome]) -> Curves:
    """By perturbation and policy the pooled success at each level, ascending; level 0 is the undisturbed result.

    Raises:
        ValueError: If no outcome is of a disturbed episode, or those of different benchmarks or episodes are mixed.
    """
    outcomes = list(outcomes)
    _check_same(outcomes)
    counts: dict[tuple[str, str, float], list[int]] = defaultdict(lambda: [0, 0])
    for outcome in outcomes:
        name, _, level = outcome.perturbation.rpartition(" ")
        count = counts[name, outcome.policy, float(level or 0)]
        count[0] += outcome.success
        count[1] += 1
    perturbations = list(dict.fromkeys(name for name, _, _ in counts if name))
    policies = list(dict.fromkeys(policy for _, policy, _ in counts))
    if not perturbations:
        raise ValueError("A robustness curve needs disturbed episodes; evaluate with a card that has perturbations.")
    curves: Curves = {}
    for name in perturbations:
        for policy in policies:
            mine = {level: count for (kind, who, level), count in counts.items() if (kind, who) == (name, policy)}
            points = [(level, SuccessRate(*count)) for level, count in mine.items()]
            if points and ("", policy, 0.0) in counts:
                points.append((0.0, SuccessRate(*counts["", policy, 0.0])))
            if points:
                curves.setdefault(name, {})[policy] = sorted(points, key=lambda point: point[0])
    return curves


def _check_same(outcomes: Iterable[Outcome]) -> None:
    episodes: dict[tuple[str, str, str], set[tuple[str, int]]] = defaultdict(set)
    for outcome in outcomes:
        episodes[outcome.benchmark, outcome.policy, outcome.perturbation].add(outcome.episode)
    if len({benchmark for benchmark, _, _ in episodes}) > 1 or len(set(map(frozenset, episodes.values()))) > 1:
        told = "; ".join(f"{' '.join(filter(None, of))}: {len(them)}" for of, them in list(episodes.items())[:4])
        raise ValueError(
            f"Robustness curves must all be over the same episodes of one benchmark, but these differ ({told}): draw "
            "each set of episodes apart."
        )


def plot_robustness(path: str | Path, outcomes: Iterable[Outcome]) -> Path:
    """Draw every curve with its 95 % Wilson intervals into the PNG ``path``, one panel for each perturbation.

    A policy has one colour in all panels; the eighth colour is followed by the first, with another marker.
    """
    curves = robustness_curves(outcomes)
    units = {kind.name: kind.unit for kind in Perturbation.__subclasses__()}
    policies = list(dict.fromkeys(policy for by_policy in curves.values() for policy in by_policy))
    styles = {
        policy: (COLOURS[index % len(COLOURS)], MARKERS[index // len(COLOURS) % len(MARKERS)])
        for index, policy in enumerate(policies)
    }
    columns = min(len(policies), max(1, round(1.5 * len(curves))))
    legend_rows = -(-len(policies) // columns)
    figure = Figure(figsize=(0.8 + 4.2 * len(curves), 3.9 + 0.25 * legend_rows), layout="constrained", dpi=130)
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for panel, (name, by_policy) in zip(panels, curves.items(), strict=True):
        for policy, points in by_policy.items():
            colour, marker = styles[policy]
            levels = [level for level, _ in points]
            rates = [100 * rate.rate for _, rate in points]
            ends = [[100 * end for end in rate.interval] for _, rate in points]
            panel.plot(levels, rates, f"{marker}-", color=colour, markersize=4)
            panel.fill_between(levels, [low for low, _ in ends], [high for _, high in ends], color=colour, alpha=0.15)
        panel.set_title(name.replace("_", " "), fontsize=11)
        panel.set_xlabel(units.get(name, "level"), fontsize=9)
        panel.set_ylim(-2, 102)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("success rate (%)")
    handles = [Line2D([], [], color=colour, marker=marker, markersize=4) for colour, marker in styles.values()]
    figure.legend(handles, policies, loc="outside lower center", ncols=columns, fontsize=9)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as file:
        figure.savefig(file, format="png")
    return path


def robustness_table(outcomes: Iterable[Outcome]) -> Table:
    """The same numbers as a rich table, a row for each policy, perturbation and level."""
    drawn = Table(title="success under disturbance")
    for heading in HEADINGS:
        name = heading in ("perturbation", "policy")
        drawn.add_column(heading, justify="left" if name else "right", no_wrap=not name, overflow="fold")
    for section in _sections(outcomes):
        for cells in section:
            drawn.add_row(*cells)
        drawn.add_section()
    return drawn


def robustness_markdown(outcomes: Iterable[Outcome]) -> str:
    """The same rows in Markdown."""
    rule = ("---", "---:", "---", "---:", "---:")
    rows = [HEADINGS, rule, *(cells for section in _sections(outcomes) for cells in section)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows) + "\n"


def _sections(outcomes: Iterable[Outcome]) -> Iterator[list[tuple[str, ...]]]:
    for name, by_policy in robustness_curves(outcomes).items():
        for policy, points in by_policy.items():
            yield [(name, f"{level:g}", policy, f"{rate.rate:.1%}", _interval(rate)) for level, rate in points]


def _interval(rate: SuccessRate) -> str:
    low, high = rate.interval
    return f"{low:.1%} - {high:.1%}"
