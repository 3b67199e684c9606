"""``python -m la4vla.fit RECIPE.yaml``: train a policy, its data and its predecessors first where they are missing."""

from __future__ import annotations

import logging
import shlex
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import print

from la4vla.cli import run_verb

if TYPE_CHECKING:
    from la4vla.training.recipe import Recipe


def main(words: Sequence[str] | None = None) -> None:
    """Fit what the recipe says, or go on with it, or say that it is finished.

    Raises:
        SystemExit: Where training was stopped before its last step, by a signal or because its time was up.
    """
    import torch  # here, so that Ctrl-C is heard from the first moment on

    from la4vla.training.recipe import Recipe

    # Lightning tells every user of every run which accelerators it did not find.
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*")
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")  # a run that goes on
    torch.set_float32_matmul_precision("high")
    recipe = Recipe(words)
    run = recipe.run
    state = run.state()
    if state == "finished":
        print(f"[bold]{run.folder.name}[/] is finished already: {run.folder}")
        return
    resume = recipe.resume_point() if state == "unfinished" else None
    if recipe.trainer.is_global_zero:
        facts = recipe.facts()
        print(f"[bold]{run.folder.name}[/]: {'going on from the last checkpoint' if resume else facts['begins_from']}")
        print(
            f"effective batch {facts['effective_batch']}, {facts['world_size']} process(es), {facts['precision']}, "
            f"{sum(facts['parameters'].values()) / 1e6:.1f} M parameters"
        )
    try:
        with recipe.interruption:
            recipe.trainer.fit(recipe.model, recipe.datamodule, ckpt_path=resume, weights_only=True)
    finally:
        if recipe.trainer.is_global_zero:
            run.leave_if_empty()
    if recipe.trainer.is_global_zero and not recipe.trainer.interrupted and run.state() != "finished":
        _tell_unfinished(recipe)


def _tell_unfinished(recipe: Recipe) -> None:
    from la4vla.training.chain import OUT_OF_TIME

    step, steps, run = recipe.trainer.global_step, recipe.trainer.max_steps, recipe.run
    if step >= steps:
        raise ValueError(
            f"{run.last_checkpoint} is a state at the end of training, from which nothing goes on, and no policy was "
            f"exported. Delete {run.folder} to train it anew."
        )
    sys.stderr.write(
        f"Stopped at step {step} of {steps}, saved in {run.last_checkpoint}; the run is not finished. "
        f"To go on: {shlex.join(recipe.command)}\n"
    )
    raise SystemExit(OUT_OF_TIME)


if __name__ == "__main__":
    run_verb(main)
