"""A package that a reader needs and that is missing is one sentence, which names the extra to install."""

from __future__ import annotations

import subprocess
import sys

# the packages must be missing before anything is imported, so this runs in a process of its own
PROGRAM = """
import sys
sys.modules |= dict.fromkeys(("pyarrow", "av", "h5py"))
from la4vla.cli import RecipeGrammar
from la4vla.data.readers.base import Reader
parser = RecipeGrammar(exit_on_error=False)
parser.add_argument("--reader", type=Reader)
for name, setting in (("lerobot.LeRobot", "root"), ("la33k.LA33K", "root"), ("libero_hdf5.LiberoHdf5", "path")):
    words = [f"reader=la4vla.data.readers.{name}Reader", f"reader.{setting}=nowhere"]
    try:
        parser.instantiate_classes(parser.parse_args(words))
    except ValueError as error:
        print(error)
"""


def test_a_missing_package_is_told_in_one_sentence():
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=True)
    sentences = told.stdout.splitlines()
    for sentence, package in zip(sentences, ("pyarrow", "pyarrow", "h5py"), strict=True):
        assert f"needs the package {package} (" in sentence and sentence.endswith('pip install "la4vla[construct]".')
