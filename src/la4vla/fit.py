"""``python -m la4vla.fit RECIPE.yaml``: train a policy from shards, its predecessors and its data first where missing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from rich import print

from la4vla.cli import run_verb


def main(words: Sequence[str] | None = None) -> None:
    """Fit what the recipe says, or go on with it, or say that it is finished."""
    from la4vla.training.recipe import Recipe

    torch.set_float32_matmul_precision("high")
    recipe = Recipe(words)
    run, trainer = recipe.run, recipe.trainer
    state = run.state()
    if state == "finished":
        print(f"[bold]{run.folder.name}[/] is finished already: {run.folder}")
        return
    facts = recipe.facts()
    run.begin(facts)
    resume = run.last_checkpoint if state == "unfinished" else None
    print(f"[bold]{run.folder.name}[/]: {'going on from the last checkpoint' if resume else facts['begins_from']}")
    print(f"effective batch {facts['effective_batch']}, {facts['world_size']} process(es), {facts['precision']}")
    trainer.fit(recipe.model, recipe.datamodule, ckpt_path=resume, weights_only=True)


if __name__ == "__main__":
    run_verb(main)
