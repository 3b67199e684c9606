"""Makes the tiny worlds importable by name, here and in rollout workers."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "rollout")]
