"""``python -m la4vla.convert SOURCE TARGET [key=value ...]``: published checkpoints to policies, and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from la4vla.cli import RecipeGrammar, run_verb

VLM = "OpenGVLab/InternVL3-1B-hf"
# Our words, those of the official data configuration, and LeRobot's.
Word = Literal["bounds", "quantiles", "zscore", "bounds_q99", "normal", "MIN_MAX", "QUANTILES", "MEAN_STD"]


class Grammar(RecipeGrammar):
    """The words of this verb, which needs no recipe."""

    def format_usage(self) -> str:
        """One line."""
        return f"usage: {self.prog} SOURCE TARGET [key=value ...]\n"


def convert(
    source: str, target: Path, vlm: str = VLM, embodiment: str | None = None,
    view: str | None = None, arm: str | None = None, dataset: str | None = None, category: int | None = None,
    normalization: Word | None = None, integration_steps: int | None = None,
    compat: bool = False, masked_queries: Literal["zero", "attend"] = "zero",
    times: Literal["la4vla", "evo1"] = "la4vla", layout: Literal["official", "lerobot", "la4vla"] | None = None,
) -> str:  # fmt: skip
    """Write a policy if ``source`` is a published checkpoint, a published layout if it is a policy, and say so.

    Args:
        source: Folder of a published checkpoint or of a policy, or ``owner/name`` of the hub.
        target: Folder to write, which must not exist.
        vlm: The vision-language model that a published checkpoint was made from.
        embodiment: Name of the robot that the policy is for.
        view: Name of the view profile the policy looks through.
        arm: Which entry of the checkpoint's statistics is meant, by robot.
        dataset: Which entry of the checkpoint's statistics is meant, by data set.
        category: Number of the embodiment in heads that have weights for several.
        normalization: How actions were normalized, in our words, the official ones or LeRobot's.
        integration_steps: Steps of the flow from noise to action.
        compat: Whether the official arithmetic is kept where it differs from ours.
        masked_queries: What the official arithmetic does with masked queries; needs compat=true.
        times: Whose times the flow is integrated at; needs compat=true.
        layout: What a policy becomes; None takes the official layout.
    """
    from la4vla.models.policy import Policy
    from la4vla.models.published import bodies, domains, layouts, policies
    from la4vla.models.published.sources import CHECKPOINT, local
    from la4vla.models.trainer_state import is_checkpoint

    if target.exists():
        raise ValueError(f"{target} exists: name a folder that does not, nothing is ever overwritten.")
    if not compat and (masked_queries, times) != ("zero", "la4vla"):
        raise ValueError("masked_queries= and times= belong to the official arithmetic: add compat=true.")
    folder = Path(source) if is_checkpoint(Path(source)) else local(source, CHECKPOINT)
    if is_checkpoint(folder) or (folder / "backbone").is_dir():
        given = {"embodiment": embodiment, "view": view, "category": category, "normalization": normalization}
        given |= {"integration_steps": integration_steps, "vlm": None if vlm == VLM else vlm, "compat": compat or None}
        idle = [f"{word}=" for word, choice in given.items() if choice is not None]
        if idle:
            raise ValueError(
                f"{source} is a policy already: only layout=, arm= and dataset= apply; leave out {', '.join(idle)}."
            )
        return layouts.write(Policy.load(folder), target, layout or "official", arm, dataset)
    if layout is not None:
        raise ValueError(f"{source} is no policy of this package: layout= says what a policy becomes.")
    found = layouts.read(folder, normalization)
    domain = domains.domain_of(found, *bodies.body(embodiment, view), arm, dataset)
    policy = policies.build(found, domain, vlm, category, integration_steps, compat, masked_queries, times)
    policy.save(target)
    size = sum(parameter.numel() for parameter in policy.parameters()) / 1e6
    told = f"{target} holds a policy for '{domain.embodiment.name}' with {size:.1f} M parameters."
    return " ".join([told, *found.notes])


def main(words: Sequence[str] | None = None) -> None:
    """Read the words and convert."""
    parser = Grammar(prog="python -m la4vla.convert")
    parser.add_function_arguments(convert, as_positional=True)
    print(convert(**vars(parser.parse_args(words))))


if __name__ == "__main__":
    run_verb(main)
