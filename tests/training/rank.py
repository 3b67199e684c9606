"""One process of a job, in the environment that torchrun gives it; the fixture ``job`` runs this file."""

from __future__ import annotations

import os
import signal
import sys

import torch

from la4vla import fit
from la4vla.training.module import PolicyModule


def main(words: list[str], environment: dict[str, str], output: str, dies_at: int | None) -> None:
    """Fit what ``words`` say; with ``dies_at`` end by SIGKILL when that optimizer step is about to begin."""
    os.environ.update(environment)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    torch.set_num_threads(1)
    begin = PolicyModule.on_train_batch_start

    def on_train_batch_start(module: PolicyModule, *batch: object) -> None:
        if module.trainer.global_step == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        begin(module, *batch)

    PolicyModule.on_train_batch_start = on_train_batch_start
    fit.main(words)
    sys.stdout.flush()


main(**globals()["JOB"])
