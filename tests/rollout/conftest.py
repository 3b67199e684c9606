"""Makes the tiny worlds importable by name, here and in rollout workers."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
