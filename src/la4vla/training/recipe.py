"""From the words of a command line to a trainer, a module and data that fit together."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse.typing import Path_fr
from lightning import Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

import la4vla.models.backbones.internvl3
import la4vla.models.heads.alignment
import la4vla.models.heads.flow_matching
import la4vla.training.callbacks.direction
import la4vla.training.callbacks.requeue
import la4vla.training.callbacks.rollouts  # noqa: F401  imported so that recipes may use short class names
from la4vla.cli import RecipeGrammar, files_of
from la4vla.construction.build import ensure_built
from la4vla.data.manifest import Manifest
from la4vla.data.mixture import MixtureDataModule
from la4vla.models.trainer_state import is_checkpoint, name_of, run_of, steps_of
from la4vla.training.callbacks.export import Export
from la4vla.training.callbacks.finite import FiniteLoss
from la4vla.training.callbacks.progress import progress
from la4vla.training.callbacks.throughput import Throughput
from la4vla.training.chain import INCIDENTAL, finished_policy, run_name
from la4vla.training.checkpoint_io import AtomicCheckpointIO
from la4vla.training.checkpoints import run_checkpoints
from la4vla.training.machine import fastest_precision
from la4vla.training.module import PolicyModule
from la4vla.training.run import Run

TRAINER_DEFAULTS = {
    "max_epochs": -1,
    "precision": fastest_precision(),
    "log_every_n_steps": 10,
    "num_sanity_val_steps": 0,
    "use_distributed_sampler": False,
    "enable_model_summary": False,
}


class FitParser(RecipeGrammar, LightningArgumentParser):
    """LightningCLI's parser with the verbs' grammar."""


class Recipe(LightningCLI):
    """One fit, resolved: ``trainer``, ``model``, ``datamodule`` and the ``run`` folder they belong to.

    Beyond the trainer's, the module's and the data module's own arguments a recipe has

    - ``after``: the recipe whose finished policy this one begins from, head included where the classes agree; or a
      checkpoint of a run, ``runs/NAME/checkpoints/last.ckpt``, as it stands;
    - ``start``: likewise for a recipe without predecessor, the common start of all paradigms;
    - ``name`` and ``runs``: the run's folder is ``runs/name``;
    - ``checkpoint_every``: optimizer steps between two checkpoints.
    """

    def __init__(self, words: Sequence[str] | None = None) -> None:
        self.words = list(sys.argv[1:] if words is None else words)
        super().__init__(
            PolicyModule,
            MixtureDataModule,
            save_config_callback=None,
            trainer_defaults=TRAINER_DEFAULTS,
            seed_everything_default=0,
            parser_class=FitParser,
            parser_kwargs={"prog": "python -m la4vla.fit"},
            auto_configure_optimizers=False,
            run=False,
            args=self.words,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """The recipe's own arguments, and the links that keep one truth for each fact."""
        parser.add_argument("--after", type=Path_fr | None, default=None, help="recipe, or checkpoint, to begin from")
        parser.add_argument("--start", type=Path_fr | None, default=None, help="common start when `after` is null")
        parser.add_argument("--name", type=str | None, default=None, help="name of the run's folder")
        parser.add_argument("--runs", type=str, default="runs", help="folder of all runs")
        parser.add_argument("--checkpoint_every", type=int, default=250, help="optimizer steps between checkpoints")
        parser.link_arguments("seed_everything", "data.seed")
        parser.link_arguments("model.head", "data.horizon", compute_fn=_horizon)
        parser.link_arguments("data.domains", "model.domains", apply_on="instantiate")
        parser.link_arguments("model.backbone", "model.head.init_args.width", compute_fn=_width, apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the words as they are; they may well be those of the process."""
        self.config = parser.parse_args(args)

    def before_instantiate_classes(self) -> None:
        """Build the data that is missing, train the predecessor that is missing, settle the run's folder."""
        runs = Path(self.config.runs)
        self.sources = {k: {"shards": s.shards, "vision": s.vision} for k, s in self.config.data.sources.items()}
        for begun_from in filter(None, (self.config.after, self.config.start)):
            if is_checkpoint(Path(begun_from.absolute)):
                steps_of(Path(os.path.relpath(begun_from.absolute)))  # can be read, before anything is built
        for source in self.sources.values():
            ensure_built(source["shards"])
        self.predecessor = self.config.after or self.config.start
        config = yaml.safe_load(self.parser.dump(self.config, skip_none=False, format="yaml"))
        for key in INCIDENTAL:
            _drop(config, key.split("."))
        config["after"] = config["start"] = None
        if self.predecessor:
            recipe = Path(os.path.relpath(self.predecessor.absolute))
            policy = recipe if is_checkpoint(recipe) else finished_policy(recipe, files_of(self.words)[1:], runs)
            config["after"] = name_of(policy)
            self.config.model.predecessor = str(policy)
        self.run = Run(runs / (self.config.name or run_name(self.words)), config)
        if not any(int(os.environ.get(name, "0")) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID")):
            self.run.take()  # for all processes of the run

    def instantiate_classes(self) -> None:
        """Instantiate everything, unless the run is finished and nothing is left to do.

        Raises:
            ValueError: If the run's folder holds a run of another configuration, of other data or after another run.
        """
        self.made_from = self._made_from()
        if self.run.state(self.made_from) != "finished":
            super().instantiate_classes()

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The trainer with what every run has: guards, logs, progress, the export, checkpoints."""
        folder = str(self.run.folder)
        # At the end averaged weights come into place first, so that everybody sees the policy that is exported.
        asked = self.config_init["trainer"].get("callbacks") or []
        asked = sorted(asked, key=lambda callback: not isinstance(callback, WeightAveraging))
        checkpoints = run_checkpoints(self.run.checkpoints, self.config.checkpoint_every)
        return super().instantiate_trainer(
            default_root_dir=folder,
            logger=[CSVLogger(folder, name="csv"), TensorBoardLogger(folder, name="tensorboard", version="")],
            plugins=[AtomicCheckpointIO(), *(self.config_init["trainer"].get("plugins") or [])],
            enable_progress_bar=sys.stdout.isatty(),
            callbacks=[FiniteLoss(), Throughput(), progress(), *asked, Export(self.run), *checkpoints],
            **kwargs,
        )

    def facts(self) -> dict[str, Any]:
        """What the provenance says of this fit besides its configuration and its environment."""
        data, module = self.datamodule, self.model
        batch = data.batch_size * self.trainer.accumulate_grad_batches
        return {
            "name": self.run.folder.name,
            "command": ["python", "-m", "la4vla.fit", *self.words],
            "predecessor": module.predecessor,
            "made_from": self.made_from,
            "begins_from": module.inherited,
            "seed": self.config.seed_everything,
            "effective_batch": batch,
            "accumulate_grad_batches": self.trainer.accumulate_grad_batches,
            "world_size": self.trainer.world_size,
            "precision": str(self.trainer.precision),
            "accelerator": self.trainer.accelerator.__class__.__name__,
            "sources": {k: {**v, "content_hash": data.content_hashes[k]} for k, v in self.sources.items()},
            "parameters": {k: sum(p.numel() for p in v) for k, v in module.policy.parts().items()},
            "trainable": list(module.trainable),
        }

    def _made_from(self) -> dict[str, str]:
        """The hashes of what this fit begins from: the shards of each source, and the predecessor's configuration."""
        made = {f"data.sources.{k}": Manifest.read(s["shards"]).content_hash for k, s in self.sources.items()}
        if self.config.model.predecessor:
            policy = Path(self.config.model.predecessor)
            before = Run(run_of(policy), {}).provenance() or {}
            made["after"] = before.get("config_hash", "unknown")
            if is_checkpoint(policy):
                made["after"] += f"@{steps_of(policy)}"
        return made


def _horizon(head: Any) -> int:
    return int(head.init_args.get("horizon") or 1)


def _width(backbone: Any) -> int:
    return int(backbone.width)


def _drop(tree: dict[str, Any], keys: Sequence[str]) -> None:
    for key in keys[:-1]:
        tree = tree.get(key) or {}
    tree.pop(keys[-1], None)
