"""The verb that reports: the paper's rows from their counts, seeds, comparisons, charts and the film of films."""

from dataclasses import replace

import imageio.v3 as imageio
import numpy as np
import pytest
from matplotlib.figure import Figure

from la4vla import report
from la4vla.cli import run_verb
from la4vla.evaluation.bars import plot_bars
from la4vla.evaluation.document import Document
from la4vla.evaluation.episode_sets import episode_sets
from la4vla.evaluation.outcomes import Outcome, write_outcomes
from la4vla.evaluation.paper_table import paper_table, rows_of
from la4vla.evaluation.robustness import plot_robustness, robustness_curves
from la4vla.evaluation.runs import read_runs
from la4vla.evaluation.success import SuccessRate

GROUPS = {"easy": 28, "medium": 11, "hard": 6, "very_hard": 5}
# Successes by group, ten episodes a task; what the paper's Table 4 prints for them; the rate over all 500 episodes.
LA4VLA = {
    "No": ((231, 80, 25, 41), "82.5 72.7 41.7 82.0", 69.73, "+0.00", "75.4"),
    "VLA": ((248, 75, 41, 47), "88.6 68.2 68.3 94.0", 79.78, "+10.05", "82.2"),
    "LA": ((261, 90, 39, 46), "93.2 81.8 65.0 92.0", 83.00, "+13.27", "87.2"),
    "LA-VLA": ((256, 100, 40, 49), "91.4 90.9 66.7 98.0", 86.75, "+17.02", "89.0"),
    "MixPT": ((249, 104, 40, 50), "88.9 94.5 66.7 100.0", 87.53, "+17.80", "88.6"),
}


def outcomes(policy, counts, perturbation=""):
    """Ten episodes of every task, solved as often as ``counts`` say."""
    for (group, tasks), successes in zip(GROUPS.items(), counts, strict=True):
        for episode in range(10 * tasks):
            task = f"{group}-{episode // 10}"
            solved = episode < successes
            yield Outcome("metaworld", policy, task, group, episode, solved, 100, perturbation=perturbation)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_five_rows_of_the_paper_come_from_their_counts(folder):
    for policy, (counts, *_) in LA4VLA.items():
        write_outcomes(folder / policy / "outcomes.csv", outcomes(policy, counts))
    text, files = Document([str(folder / policy) for policy in LA4VLA], tasks=False).write()
    table = [cells(line) for line in text.splitlines() if line.startswith("| ")]
    assert table[0][:8] == ["Model", "Pretrain", "Easy", "Medium", "Hard", "Very hard", "Avg.", "Gain"]
    for row, (policy, (_, groups, average, gain, pooled)) in zip(table[2:7], LA4VLA.items(), strict=True):
        assert row[0] == policy
        assert row[2:6] == groups.split()
        # the paper averages rates that it has rounded first, and subtracts averages that it has rounded
        assert float(row[6]) == pytest.approx(average, abs=0.05)
        assert float(row[7]) == pytest.approx(float(gain), abs=0.1)
        assert (row[8], row[10]) == (pooled, "500")
    # by the mean of groups MixPT is best, over all episodes LA-VLA is
    assert float(table[6][6]) > float(table[5][6])
    assert float(table[6][8]) < float(table[5][8])
    assert "| MixPT | 500 | 66 | 0 | +13.2 |" in text
    assert [path.name for path in files] == ["report.md", "metaworld.png"]
    assert imageio.imread(files[1]).std() > 10


def test_runs_of_one_name_are_seeds_of_one_row(folder):
    for seed, solved in enumerate((200, 220, 240)):
        write_outcomes(folder / f"la{seed}.csv", outcomes("LA", (solved, 80, 30, 40)))
    runs = read_runs([folder / f"la{seed}.csv" for seed in range(3)])
    (row,) = rows_of(runs)
    assert len(row.runs) == 3
    assert row.whole.pooled == SuccessRate(660 + 240 + 90 + 120, 1500)
    assert row.average("groups") == pytest.approx((220 / 280 + 80 / 110 + 30 / 60 + 40 / 50) / 4)
    assert row.spread("groups") == pytest.approx(np.std([200, 220, 240], ddof=1) / 280 / 4)
    line = cells(paper_table([row]).splitlines()[2])
    assert (line[7], line[-1]) == ("1.79", "1500 (3 runs)")


def test_columns_may_be_tasks_as_in_table_6(folder):
    rows = [
        Outcome("cell", policy, task, "", seed, seed < solved, 9)
        for policy, counts in {"No": (8, 3), "LA": (11, 16)}.items()
        for task, solved in zip(("press_button", "place_drink"), counts, strict=True)
        for seed in range(20)
    ]
    for policy in ("No", "LA"):
        write_outcomes(folder / f"{policy}.csv", [row for row in rows if row.policy == policy])
    text, _ = Document(["No.csv", "LA.csv"], columns="tasks", baseline="LA").write()
    assert "| Model | Pretrain | Press button | Place drink | Avg. | Gain |" in text
    assert "| LA | – | 55.0 | 80.0 | 67.50 | +0.00 |" in text
    assert "| No | – | 40.0 | 15.0 | 27.50 | -40.00 |" in text
    assert "| press_button | 11/20 | 55.0% |" in text


def test_other_runs_are_not_paired(folder):
    for name in ("a", "b0", "b1"):
        write_outcomes(folder / f"{name}.csv", outcomes(name[0].upper(), (1, 1, 1, 1)))
    text, _ = Document(["a.csv", "b0.csv", "b1.csv"], tasks=False).write()
    assert "| B | other runs than A: not paired |" in text


def test_other_episodes_stand_in_tables_apart(folder):
    few = [outcome for outcome in outcomes("LA", (1, 1, 1, 1)) if outcome.group == "easy"]
    write_outcomes(folder / "all/outcomes.csv", outcomes("LA", (200, 80, 30, 40)))
    write_outcomes(folder / "easy/outcomes.csv", few)
    write_outcomes(folder / "no/outcomes.csv", outcomes("No", (100, 80, 30, 40)))
    text, files = Document(["all", "easy", "no"], tasks=False, out="out").write()
    assert text.startswith("Evaluations on different episodes stand in tables apart")
    assert [line for line in text.splitlines() if line.startswith("# ")] == [
        "# metaworld, episode set 1 (tasks: 50, episodes: 500)",
        "# metaworld, episode set 2 (tasks: 28, episodes: 280)",
    ]
    assert [path.name for path in files] == ["report.md", "metaworld_1.png", "metaworld_2.png"]
    first, second = text.split("# metaworld")[1:]
    assert "s.d." not in text and "runs)" not in text
    assert "| LA |" in first and "| No |" in first and "Against LA" in first
    assert "| LA |" in second and "| No |" not in second and "Against" not in second
    with pytest.raises(ValueError, match=r"must have the same episodes, but .* share 280 of 280 and 500: report them"):
        rows_of(read_runs(["all", "easy"]))


def test_curves_are_of_one_benchmark_and_of_equal_episodes(folder):
    easy = {"held": "easy", "all": ""}
    for part, group in easy.items():
        for index, perturbation in enumerate(["", "blur 0.01"] if group else [""]):
            rows = [row for row in outcomes("LA", (90, 0, 0, 0), perturbation) if row.group.startswith(group)]
            write_outcomes(folder / part / str(index) / "outcomes.csv", rows)
    parts = episode_sets(read_runs(["held", "all"]))
    (drawn,) = [part.curve_outcomes for part in parts if part.curve_outcomes]
    assert robustness_curves(drawn) == {"blur": {"LA": [(0, SuccessRate(90, 280)), (0.01, SuccessRate(90, 280))]}}
    every = [row for run in read_runs(["held", "all"]) for row in run.outcomes]
    with pytest.raises(
        ValueError, match=r"over the same episodes of one benchmark, but these differ \(metaworld LA: 500"
    ):
        robustness_curves(every)
    for index, perturbation in enumerate(("", "blur 0.01")):
        rows = [replace(row, benchmark="libero") for row in outcomes("LA", (30, 0, 0, 0), perturbation)]
        write_outcomes(folder / f"libero/{index}/outcomes.csv", rows)
    text, files = Document(["held", "libero"], tasks=False, out="out").write()
    assert [path.name for path in files if "robust" in path.name] == [
        "metaworld_robustness.png", "libero_robustness.png",
    ]  # fmt: skip
    assert "# Robustness: libero\n\n![robustness](libero_robustness.png)" in text


def test_the_undisturbed_end_of_a_curve_is_of_the_weights_that_were_disturbed(folder):
    for seed, perturbations in enumerate((("", "blur 0.01"), ("",))):
        for index, perturbation in enumerate(perturbations):
            place = folder / f"{seed}/{index}"
            write_outcomes(place / "outcomes.csv", outcomes("LA", (90 + seed, 0, 0, 0), perturbation))
            (place / "evaluation.json").write_text(f'{{"settings": {{"identity": "{seed}"}}, "finished": "today"}}')
    (part,) = episode_sets(read_runs([folder]))
    assert robustness_curves(part.curve_outcomes)["blur"]["LA"][0] == (0.0, SuccessRate(90, 500))


def test_evaluations_of_one_training_at_several_steps_are_no_seeds(folder):
    for step in (1000, 2000):
        write_outcomes(folder / f"la/metaworld/step_{step}/outcomes.csv", outcomes("la", (step / 10, 0, 0, 0)))
    assert [(row.policy, len(row.runs)) for row in rows_of(read_runs([folder]))] == [
        ("la, step 1000", 1), ("la, step 2000", 1),
    ]  # fmt: skip


def test_every_policy_is_drawn_in_a_colour_of_its_own(folder, monkeypatch):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    policies = [f"policy {index}" for index in range(10)]
    rows = [
        Outcome("b", policy, "x", "", seed, seed < index, 9, perturbation=label)
        for index, policy in enumerate(policies)
        for label in ("", "blur 0.01", *(["contrast 0.5"] if index else []))
        for seed in range(10)
    ]
    plot_robustness(folder / "r.png", rows)
    (figure,) = drawn
    (legend,) = figure.legends
    named = [(line.get_color(), line.get_marker()) for line in legend.get_lines()]
    assert [text.get_text() for text in legend.get_texts()] == policies and len(set(named)) == 10
    panels = [[(line.get_color(), line.get_marker()) for line in panel.lines] for panel in figure.axes]
    assert panels == [named, named[1:]]


def test_disturbed_runs_have_tables_and_curves_of_their_own(folder):
    levels = {"": 90, "blur 0.01": 60, "blur 0.02": 30, "gaussian_noise 25": 80}
    for index, (perturbation, solved) in enumerate(levels.items()):
        write_outcomes(folder / f"{index}/outcomes.csv", outcomes("LA", (solved, 0, 0, 0), perturbation))
    every = [outcome for run in read_runs([folder]) for outcome in run.outcomes]
    assert robustness_curves(every)["blur"]["LA"] == [
        (0.0, SuccessRate(90, 500)), (0.01, SuccessRate(60, 500)), (0.02, SuccessRate(30, 500)),
    ]  # fmt: skip
    text, files = Document([str(folder)], tasks=False, out="out").write()
    assert [line for line in text.splitlines() if line.startswith("# ")] == [
        "# metaworld", "# metaworld, blur 0.01", "# metaworld, blur 0.02", "# metaworld, gaussian_noise 25",
        "# Robustness",
    ]  # fmt: skip
    assert [path.name for path in files] == ["report.md", "metaworld.png", "robustness.png"]


def test_the_verb_writes_and_prints_the_report_and_shows_films(folder, capsys):
    write_outcomes(folder / "a/outcomes.csv", outcomes("A", (100, 30, 10, 5)))
    (folder / "a/evaluation.json").write_text('{"settings": {}, "pretraining": "la", "finished": "today"}')
    (folder / "a/videos").mkdir()
    frames = np.full((3, 64, 64, 3), 90, dtype=np.uint8)
    for seed in range(2):
        imageio.imwrite(folder / f"a/videos/reach_{seed}.mp4", frames, plugin="FFMPEG", fps=20, macro_block_size=2)
    report.main(["a", "out=there", "tasks=false"])
    assert (
        "| A | la | 35.7 | 27.3 | 16.7 | 10.0 | 22.41 | +0.00 | 29.0 | 25.2 – 33.1 | 500 |" in capsys.readouterr().out
    )
    assert sorted(path.name for path in (folder / "there").iterdir()) == ["metaworld.png", "report.md", "rollouts.mp4"]
    assert imageio.imread(folder / "there/rollouts.mp4").shape == (3, 226, 400, 3)


def test_what_cannot_be_reported_is_one_sentence(folder):
    write_outcomes(folder / "a/outcomes.csv", outcomes("A", (1, 1, 1, 1)))
    (folder / "a/evaluation.json").write_text('{"settings": {}}')
    write_outcomes(folder / "b.csv", [*outcomes("A", (1, 1, 1, 1)), *outcomes("B", (1, 1, 1, 1))])
    write_outcomes(folder / "c.csv", outcomes("C", (1, 1, 1, 1)))
    for words, said in (
        (["nothing"], "There is no evaluation in nothing"),
        (["a"], "The evaluation in a is unfinished with 500 episodes; run its command again"),
        (["b.csv"], "b.csv mixes policies"),
        (["c.csv", "baseline=D"], "No policy is named D; there are C."),
    ):
        with pytest.raises(SystemExit, match=f"error: {said}"):
            run_verb(lambda words=words: report.main(words))


def test_bars_have_whole_intervals_without_groups(tmp_path):
    row = [Outcome("b", "p", "x", "", seed, False, 1) for seed in range(3)]
    write_outcomes(tmp_path / "p.csv", row)
    assert plot_bars(tmp_path / "p.png", rows_of(read_runs([tmp_path / "p.csv"])), "b").stat().st_size > 5000
