"""What a log file hears of a run's progress."""

from __future__ import annotations

from types import SimpleNamespace

from la4vla.training.callbacks.progress import ProgressLines


def test_each_tenth_is_told_once_however_many_batches_make_a_step(capsys):
    lines = ProgressLines(lines=2)
    trainer = SimpleNamespace(global_step=0, max_steps=4, is_global_zero=True, callback_metrics={})
    lines.on_train_start(trainer, None)
    for batch in range(8):
        trainer.global_step = (batch + 1) // 2
        lines.on_train_batch_end(trainer, None)
    told = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in told] == ["step 2/4", "step 4/4"]
