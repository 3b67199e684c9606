"""``python -m la4vla.convert SOURCE TARGET [key=value ...]``: published checkpoints to policies, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from la4vla.cli import RecipeGrammar, run_verb


class Grammar(RecipeGrammar):
    """The words of this verb, which needs no recipe."""

    def format_usage(self) -> str:
        """One line."""
        return f"usage: {self.prog} SOURCE TARGET [key=value ...]\n"


def convert(
    source: Path, target: Path, vlm: str = "OpenGVLab/InternVL3-1B-hf", embodiment: str | None = None,
    view: str | None = None, arm: str | None = None, dataset: str | None = None, category: int | None = None,
    normalization: Literal["bounds", "quantiles", "zscore"] | None = None, integration_steps: int | None = None,
    compat: bool = False, masked_queries: Literal["zero", "attend"] = "zero",
    times: Literal["la4vla", "evo1"] = "la4vla",
) -> None:  # fmt: skip
    """Write a policy if ``source`` is a published checkpoint, and the official layout if it is a policy."""
    from la4vla.models.policy import Policy
    from la4vla.models.published import bodies, domains, lerobot_folder, official_folder, policies

    if target.exists():
        raise ValueError(f"{target} exists: name a folder that does not, nothing is ever overwritten.")
    if not compat and (masked_queries, times) != ("zero", "la4vla"):
        raise ValueError("masked_queries= and times= belong to the official arithmetic: add compat=true.")
    if (source / "backbone").is_dir():
        if embodiment is not None or compat:
            raise ValueError(f"{source} is a policy already: only arm= and dataset= apply to the official layout.")
        official_folder.write(Policy.load(source), target, arm, dataset)
        print(f"{target} holds the policy in the official layout.")
        return
    found = lerobot_folder.read(source) if lerobot_folder.is_lerobot(source) else official_folder.read(source)
    found = replace(found, normalization=normalization or found.normalization)
    domain = domains.domain_of(found, *bodies.body(embodiment, view), arm, dataset)
    policy = policies.build(found, domain, vlm, category, integration_steps, compat, masked_queries, times)
    policy.save(target)
    size = sum(parameter.numel() for parameter in policy.parameters()) / 1e6
    print(f"{target} holds a policy for '{domain.embodiment.name}' with {size:.1f} M parameters.", *found.notes)


def main(words: Sequence[str] | None = None) -> None:
    """Read the words and convert."""
    parser = Grammar(prog="python -m la4vla.convert")
    parser.add_function_arguments(convert, as_positional=True)
    convert(**vars(parser.parse_args(words)))


if __name__ == "__main__":
    run_verb(main)
