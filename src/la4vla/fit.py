"""``python -m la4vla.fit RECIPE.yaml``: train a policy, its data and its predecessors first where they are missing."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence

import torch
from rich import print

from la4vla.cli import run_verb


def main(words: Sequence[str] | None = None) -> None:
    """Fit what the recipe says, or go on with it, or say that it is finished."""
    from la4vla.training.recipe import Recipe

    # Lightning tells every user of every run which accelerators it did not find.
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*")
    torch.set_float32_matmul_precision("high")
    recipe = Recipe(words)
    run = recipe.run
    state = run.state()
    if state == "finished":
        print(f"[bold]{run.folder.name}[/] is finished already: {run.folder}")
        return
    facts = recipe.facts()
    resume = run.last_checkpoint if state == "unfinished" else None
    if recipe.trainer.is_global_zero:
        run.begin(facts)
        print(f"[bold]{run.folder.name}[/]: {'going on from the last checkpoint' if resume else facts['begins_from']}")
        print(
            f"effective batch {facts['effective_batch']}, {facts['world_size']} process(es), {facts['precision']}, "
            f"{sum(facts['parameters'].values()) / 1e6:.1f} M parameters"
        )
    recipe.trainer.fit(recipe.model, recipe.datamodule, ckpt_path=resume, weights_only=True)
    if recipe.trainer.is_global_zero and not recipe.trainer.interrupted and run.state() != "finished":
        raise ValueError(
            f"{resume} is a state at the end of training, from which nothing goes on, and no policy was exported. "
            f"Delete {run.folder} to train it anew."
        )


if __name__ == "__main__":
    run_verb(main)
