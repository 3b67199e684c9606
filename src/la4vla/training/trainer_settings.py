"""Which of Lightning's trainer settings a fit follows, and what to set in place of the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NO_EPOCHS = "the stream of batches has no epochs; trainer.max_steps says how long a fit trains"
NO_VALIDATION = (
    "a fit has no validation batches; the callback BenchmarkRollouts measures success every `every_n_steps` steps"
)
CLIPPING = "gradients are clipped by their global norm, to model.max_grad_norm (inf leaves them as they are)"

# Settings that a fit follows, whatever their value.
FOLLOWED = frozenset(
    {
        "accelerator",
        "strategy",
        "devices",
        "num_nodes",
        "precision",
        "logger",
        "callbacks",
        "max_steps",
        "min_steps",
        "max_time",
        "log_every_n_steps",
        "enable_progress_bar",
        "enable_model_summary",
        "accumulate_grad_batches",
        "deterministic",
        "benchmark",
        "profiler",
        "detect_anomaly",
        "plugins",
        "sync_batchnorm",
        "enable_autolog_hparams",
    }
)

# For every other setting: the values that say what a fit does anyway, and what to do where another one is wanted.
REFUSED: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "fast_dev_run": ((False, 0), "to try a recipe, give trainer.max_steps=2 and a name of its own (name=...)"),
    "max_epochs": ((None, -1), NO_EPOCHS),
    "min_epochs": ((None, 0), NO_EPOCHS),
    "limit_train_batches": ((None,), NO_EPOCHS),
    "reload_dataloaders_every_n_epochs": ((0,), NO_EPOCHS),
    "limit_val_batches": ((None, 0), NO_VALIDATION),
    "limit_test_batches": ((None, 0), NO_VALIDATION),
    "limit_predict_batches": ((None, 0), NO_VALIDATION),
    "val_check_interval": ((None,), NO_VALIDATION),
    "check_val_every_n_epoch": ((None, 1), NO_VALIDATION),
    "num_sanity_val_steps": ((None, 0), NO_VALIDATION),
    "inference_mode": ((True,), NO_VALIDATION),
    "overfit_batches": ((0,), "to overfit, name a shard set of a few records in data.sources.NAME.shards"),
    "gradient_clip_val": ((None,), CLIPPING),
    "gradient_clip_algorithm": ((None,), CLIPPING),
    "enable_checkpointing": (
        (None, True),
        "a run always keeps its last and its best state, without which it could not go on; checkpoint_every says how "
        "often they are saved",
    ),
    "use_distributed_sampler": ((False,), "each process takes its share of every batch of the stream by itself"),
    "barebones": ((False,), "it would leave out logs, checkpoints and callbacks, which are what a run is made of"),
    "default_root_dir": ((None,), "a run's folder is set by runs=FOLDER and name=NAME"),
    "model_registry": ((None,), "checkpoints stay in the run's folder, and Policy.push_to_hub publishes a policy"),
}

PRECISIONS = ("32-true", "32", 32, "bf16-mixed", "bf16", None)

# Strategies of Lightning's that neither clip gradients as `model.max_grad_norm` says nor keep weights in float32.
UNSUITED = {"fsdp": "overlays/fsdp.yaml", "deepspeed": "overlays/deepspeed_2.yaml or overlays/deepspeed_3.yaml"}


def check_trainer(trainer: Mapping[str, Any]) -> None:
    """Refuse settings that a fit would not follow, before anything runs.

    Args:
        trainer: The settings by name, resolved, a class as a mapping with its ``class_path``.

    Raises:
        ValueError: Naming the first such setting and what to set in its place.
    """
    for name, (same, instead) in REFUSED.items():
        value = trainer.get(name, same[0])
        if not any(value == s and isinstance(value, bool) == isinstance(s, bool) for s in same):
            raise ValueError(f"trainer.{name}={_word(value)} would do nothing in a fit: {instead}. Leave it out.")
    _check_length(trainer)
    _check_counts(trainer)
    _check_precision(trainer.get("precision"))
    _check_strategy(trainer.get("strategy"))
    if trainer.get("logger") is False:
        raise ValueError(
            "trainer.logger=false is not followed, for loss.png is drawn from the run's CSV; loggers named there come "
            "beside it. Leave it out."
        )


def _check_length(trainer: Mapping[str, Any]) -> None:
    steps = trainer.get("max_steps")
    if steps is None or steps < 0:
        raise ValueError(
            "trainer.max_steps is missing: the stream of batches has no end, and the learning rate falls to 0 at that "
            "step; set trainer.max_steps=N optimizer steps."
        )
    if steps == 0:
        raise ValueError("trainer.max_steps=0 trains nothing; set it to at least 1 optimizer step.")


def _check_counts(trainer: Mapping[str, Any]) -> None:
    for name, least in (("accumulate_grad_batches", 1), ("num_nodes", 1), ("log_every_n_steps", 0), ("min_steps", 0)):
        if (value := trainer.get(name)) is not None and value < least:
            raise ValueError(f"trainer.{name} is at least {least}, not {value}.")
    least_steps = trainer.get("min_steps") or 0
    if least_steps > trainer["max_steps"]:
        raise ValueError(f"trainer.min_steps={least_steps} lies beyond trainer.max_steps={trainer['max_steps']}.")


def _check_precision(precision: Any) -> None:
    if precision in PRECISIONS:
        return
    reasons = {
        "16": "float16 needs its loss scaled, and gradients would be clipped while they are",
        "bf16-true": "weights in bfloat16 lose what a small learning rate adds; bf16-mixed keeps them in float32",
        "64": "backbones and heads compute in float32 or less, and batches come in float32",
        "transformer-engine": "none of the layers are Transformer Engine's",
    }
    why = next((why for start, why in reasons.items() if str(precision).startswith(start)), "no other one is known")
    raise ValueError(f"trainer.precision is bf16-mixed or 32-true, not {precision}: {why}.")


def _check_strategy(strategy: Any) -> None:
    path = strategy.get("class_path") if isinstance(strategy, Mapping) else strategy
    name = str(path).rsplit(".", 1)[-1].lower()
    for start, overlay in UNSUITED.items():
        if name.startswith(start):
            raise ValueError(
                f"trainer.strategy={path} would not clip gradients to model.max_grad_norm; give {overlay} in its place."
            )


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
