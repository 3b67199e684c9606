"""The layouts of checkpoints: which one a published folder has, and which one a policy gets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from la4vla.models.normalizer import Normalization
from la4vla.models.policy import Policy
from la4vla.models.published import lerobot_export, lerobot_folder, official_folder
from la4vla.models.published.contents import Published

Layout = Literal["official", "lerobot", "la4vla"]


WORDS: dict[str, Normalization] = {
    **{word: word for word in get_args(Normalization)},
    **official_folder.NORMALIZATIONS,
    **lerobot_folder.NORMALIZATIONS,
}


def read(folder: Path, normalization: str | None = None) -> Published:
    """What the published checkpoint in ``folder`` holds, used as ``normalization`` says where that is given.

    Args:
        folder: In one of the published layouts.
        normalization: A word of ours, of the official data configuration or of LeRobot's; see ``WORDS``.

    Raises:
        ValueError: If a file is missing, damaged, or describes another architecture.
    """
    found = lerobot_folder.read(folder) if lerobot_folder.is_lerobot(folder) else official_folder.read(folder)
    return replace(found, normalization=WORDS[normalization] if normalization else found.normalization)


def write(policy: Policy, folder: Path, layout: Layout, arm: str | None = None, dataset: str | None = None) -> str:
    """Writes ``policy`` into the new ``folder`` and says so in a sentence.

    Args:
        policy: What to write.
        folder: Must not exist.
        layout: The authors' layout, LeRobot's, or that of this package, which every policy has.
        arm: For the authors' layout, key of the statistics; None takes the embodiment's name.
        dataset: Key below it; None writes ``la4vla``.

    Raises:
        ValueError: If the layout cannot hold this policy or these keys, or ``folder`` exists.
    """
    if layout == "official":
        official_folder.write(policy, folder, arm, dataset)
        return f"{folder} holds the policy in the official layout."
    if arm is not None or dataset is not None:
        raise ValueError("arm= and dataset= name statistics of the official layout; LeRobot's knows one set.")
    if layout == "la4vla":
        policy.save(folder)
        return f"{folder} holds the policy."
    lerobot_export.write(policy, folder)
    return f"{folder} holds the policy in LeRobot's layout."
