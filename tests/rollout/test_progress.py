"""In a log there are lines, one at each tenth."""

import numpy as np

from la4vla.rollout.progress import ProgressBar
from la4vla.rollout.trajectory import Trajectory


def test_a_log_has_a_line_at_each_tenth(capsys):
    nothing = np.zeros((1, 3), dtype=np.float32)
    with ProgressBar(40, "metaworld: a") as bar:
        for seed in range(40):
            bar(Trajectory("t", seed, seed % 2 == 0, 1, nothing, nothing, [], []))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0] == "metaworld: a  4/40  success 50.0%"
    assert lines[-1] == "metaworld: a  40/40  success 50.0%"
