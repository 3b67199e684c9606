"""What people read."""

import pytest
from rich.console import Console

from la4vla.evaluation.outcomes import Outcome
from la4vla.evaluation.report import markdown, table
from la4vla.evaluation.success import summarize

GROUPS = {"reach": ("easy", 10), "push": ("hard", 4)}
ROWS = [
    Outcome("metaworld", "p", task, group, seed, seed < 8, 9)
    for task, (group, episodes) in GROUPS.items()
    for seed in range(episodes)
]


def test_markdown_has_tasks_groups_and_both_means():
    assert markdown(summarize(ROWS), "la_vla").splitlines() == [
        "## la_vla",
        "",
        "|  | successes | rate | 95 % interval |",
        "| --- | ---: | ---: | ---: |",
        "| reach | 8/10 | 80.0% | 49.0% - 94.3% |",
        "| push | 4/4 | 100.0% | 51.0% - 100.0% |",
        "| easy | 8/10 | 80.0% | 49.0% - 94.3% |",
        "| hard | 4/4 | 100.0% | 51.0% - 100.0% |",
        "| pooled | 12/14 | 85.7% | 60.1% - 96.0% |",
        "| mean of groups |  | 90.0% | 61.0% - 97.2% |",
    ]


def test_tasks_without_groups_are_pooled_only():
    rows = [Outcome("b", "p", "x", "", seed, seed == 0, 9) for seed in range(4)]
    assert markdown(summarize(rows), "p").splitlines()[4:] == [
        "| x | 1/4 | 25.0% | 4.6% - 69.9% |",
        "| pooled | 1/4 | 25.0% | 4.6% - 69.9% |",
    ]


def test_the_table_shows_the_same():
    console = Console(width=120)
    with console.capture() as capture:
        console.print(table(summarize(ROWS), "la_vla"))
    for cell in (
        "la_vla",
        "reach",
        "8/10",
        "49.0% - 94.3%",
        "pooled",
        "60.1% - 96.0%",
        "mean of groups",
        "61.0% - 97.2%",
    ):
        assert cell in capture.get()


@pytest.mark.parametrize("width", [50, 80, 200])
def test_names_shrink_and_numbers_never(width):
    task = "a_task_whose_name_takes_more_than_a_screen_of_eighty_columns_and_is_folded_into_two_lines"
    rows = [Outcome("b", "p", task, "", seed, seed < 104, 9) for seed in range(104)]
    console = Console(width=width)
    with console.capture() as capture:
        console.print(table(summarize(rows), "p"))
    for cell in ("104/104", "100.0%", "96.4% - 100.0%"):
        assert cell in capture.get()
    assert "…" not in capture.get()
