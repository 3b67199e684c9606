"""Evaluations are read in the order of their numbers."""

from la4vla.evaluation.outcomes import Outcome, write_outcomes
from la4vla.evaluation.runs import read_runs


def test_noise_25_comes_before_noise_100(tmp_path):
    for level in (100, 25, 5):
        outcome = Outcome("b", "p", "t", "", 0, True, 1, perturbation=f"gaussian_noise {level}")
        write_outcomes(tmp_path / f"gaussian_noise_{level}" / "outcomes.csv", [outcome])
    levels = [run.setting[1] for run in read_runs([tmp_path])]
    assert levels == ["gaussian_noise 5", "gaussian_noise 25", "gaussian_noise 100"]
