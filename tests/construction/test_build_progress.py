"""A log gets lines, few of them; other locales than UTF-8 get their letters too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from la4vla.construction.build_progress import BuildProgress


def test_a_log_gets_a_line_for_every_tenth(capsys):
    with BuildProgress("shards/arm", 400, 100) as progress:
        for _ in range(300):
            progress.advance(1, 2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9 and "\x1b" not in "".join(lines)
    assert lines[0] == "shards/arm: 100/400 episodes, 0 dropped, 0:00:00"
    assert lines[1].startswith("shards/arm: 140/400 episodes, 2 dropped")
    assert lines[-1].startswith("shards/arm: 400/400 episodes")


def test_a_card_with_any_letters_is_built_in_the_locale_c(moving_card, tmp_path):
    text = moving_card.read_text().replace("episodes: 60", "episodes: 4")
    moving_card.write_text(f"# Öffne\nlicense: für alle\n{text}", encoding="utf-8")
    words = [sys.executable, "-m", "la4vla.construct", str(moving_card), "processes=2"]
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONPATH": path}
    done = subprocess.run(words, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert "für alle" in (tmp_path / "moving" / "README.md").read_text(encoding="utf-8")
    assert f"data card: {tmp_path / 'moving' / 'README.md'}" in done.stdout.decode()
