"""From the words of a command line to a trainer, a module and data that fit together."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse.typing import Path_fr
from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.profilers import PassThroughProfiler, Profiler
from lightning.pytorch.strategies import DDPStrategy
from torch.nn.modules.batchnorm import _BatchNorm

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
from la4vla.training.callbacks.interruption import Interruption
from la4vla.training.callbacks.progress import progress
from la4vla.training.callbacks.throughput import Throughput
from la4vla.training.callbacks.time_limit import TimeLimit
from la4vla.training.chain import decisive, finished_policy, in_job, run_name
from la4vla.training.checkpoint_io import AtomicCheckpointIO
from la4vla.training.checkpoints import run_checkpoints
from la4vla.training.full_shard import FullShard
from la4vla.training.machine import fastest_precision
from la4vla.training.module import PolicyModule
from la4vla.training.run import Run
from la4vla.training.trainer_settings import check_trainer

TRAINER_DEFAULTS = {
    "max_epochs": -1,
    # One device, unless more are asked for or a launcher has started a process for each.
    "devices": "auto" if in_job() else 1,
    "precision": None,  # the fastest of the device, once it is known
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

    run: Run

    def __init__(self, words: Sequence[str] | None = None) -> None:
        self.words = list(sys.argv[1:] if words is None else words)
        try:
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
        except BaseException:
            if hasattr(self, "run"):
                self.run.leave_if_empty()
            raise

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
        """Parse the words as they are, and settle the precision where they leave it open.

        They may well be those of the process.
        """
        self.config = parser.parse_args(args)
        trainer = self.config.trainer
        if trainer.precision is None:
            trainer.precision = fastest_precision("cpu" if trainer.accelerator == "cpu" else None)

    def before_instantiate_classes(self) -> None:
        """Build the data that is missing, train the predecessor that is missing, settle the run's folder.

        Raises:
            ValueError: If a setting would not be followed; nothing has been built or trained then.
        """
        self._check()
        runs = Path(self.config.runs)
        self.sources = {k: {"shards": s.shards, "vision": s.vision} for k, s in self.config.data.sources.items()}
        for begun_from in filter(None, (self.config.after, self.config.start)):
            if is_checkpoint(Path(begun_from.absolute)):
                steps_of(Path(os.path.relpath(begun_from.absolute)))  # can be read, before anything is built
        for source in self.sources.values():
            ensure_built(source["shards"])
        self.predecessor = self.config.after or self.config.start
        config = decisive(yaml.safe_load(self.parser.dump(self.config, skip_none=False, format="yaml")))
        config["after"] = config["start"] = None
        if self.predecessor:
            recipe = Path(os.path.relpath(self.predecessor.absolute))
            policy = recipe if is_checkpoint(recipe) else finished_policy(recipe, files_of(self.words)[1:], runs)
            config["after"] = name_of(policy)
            self.config.model.predecessor = str(policy)
        self.run = Run(runs / (self.config.name or run_name(self.words)), config)
        if not any(int(os.environ.get(name, "0")) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID")):
            self.run.take()  # for all processes of the run
        for logger in _listed(self.config.trainer.logger):
            arguments = getattr(logger, "init_args", None)
            if arguments is not None and arguments.get("save_dir", "") in (".", None):
                arguments["save_dir"] = str(self.run.folder)

    def instantiate_classes(self) -> None:
        """Instantiate everything, unless the run is finished and nothing is left to do.

        Raises:
            ValueError: If the run's folder holds a run of another configuration, of other data or after another run.
        """
        self.made_from = self._made_from()
        if self.run.state(self.made_from) == "finished":
            return
        try:
            super().instantiate_classes()
        except MisconfigurationException as error:
            raise ValueError(_sentence(error)) from error
        batch_norms = any(isinstance(module, _BatchNorm) for module in self.model.modules())
        if self.config.trainer.sync_batchnorm and not batch_norms:
            raise ValueError(
                "trainer.sync_batchnorm=true would do nothing: this policy has no batch normalization. Leave it out."
            )

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The trainer with what every run has: guards, logs, progress, the export, checkpoints."""
        folder, config = str(self.run.folder), self.config_init["trainer"]
        # At the end averaged weights come into place first, so that everybody sees the policy that is exported.
        asked = _listed(config.get("callbacks"))
        asked = sorted(asked, key=lambda callback: not isinstance(callback, WeightAveraging))
        bar = sys.stdout.isatty() if config.get("enable_progress_bar") is None else bool(config["enable_progress_bar"])
        limit = [TimeLimit(config["max_time"])] if config.get("max_time") is not None else []
        self.interruption = Interruption(self.run, shlex.join(self.command))
        trainer = super().instantiate_trainer(
            default_root_dir=folder,
            logger=[
                CSVLogger(folder, name="csv"),
                TensorBoardLogger(folder, name="tensorboard", version=""),
                *(logger for logger in _listed(config.get("logger")) if isinstance(logger, Logger)),
            ],
            plugins=[AtomicCheckpointIO(), *_listed(config.get("plugins"))],
            enable_progress_bar=bar,
            max_time=None,
            callbacks=[
                FiniteLoss(),
                Throughput(),
                progress(bar, self.run.folder.name),
                *limit,
                *asked,
                Export(self.run, self.facts, told=config.get("enable_autolog_hparams", True)),
                *run_checkpoints(self.run.checkpoints, self.config.checkpoint_every),
                self.interruption,
            ],
            **kwargs,
        )
        _settle(trainer, folder)
        return trainer

    def resume_point(self) -> Path | None:
        """The state to go on from, if there is one.

        Raises:
            ValueError: If it lies in parts, which only the strategy that wrote them reads.
        """
        last = self.run.last_checkpoint
        if last is not None and last.is_dir() and not isinstance(self.trainer.strategy, FullShard):
            raise ValueError(
                f"{last} lies in parts, as overlays/fsdp.yaml writes it: go on with that overlay (one device will do), "
                "or give this run a name of its own (name=...)."
            )
        return last

    @property
    def command(self) -> list[str]:
        """The command line that goes on with this run."""
        return ["python", "-m", "la4vla.fit", *self.words]

    def facts(self) -> dict[str, Any]:
        """What the provenance says of this fit besides its configuration and its environment."""
        data, module = self.datamodule, self.model
        batch = data.batch_size * self.trainer.accumulate_grad_batches
        return {
            "name": self.run.folder.name,
            "command": self.command,
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

    def _check(self) -> None:
        trainer = self.config.trainer
        check_trainer(trainer.as_dict())
        if self.config.checkpoint_every < 1:
            raise ValueError(f"checkpoint_every is at least 1 optimizer step, not {self.config.checkpoint_every}.")
        if trainer.accelerator in ("gpu", "cuda") and not torch.accelerator.is_available():
            raise ValueError(
                f"trainer.accelerator={trainer.accelerator}, but torch finds no GPU on this machine; give "
                "trainer.accelerator=auto to take what there is."
            )
        try:
            if trainer.max_time is not None:
                TimeLimit(trainer.max_time)
            # Lightning alone knows which devices there are.
            Trainer(
                accelerator=trainer.accelerator,
                devices=trainer.devices,
                num_nodes=trainer.num_nodes,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
        except (MisconfigurationException, TypeError) as error:
            raise ValueError(_sentence(error)) from error

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


def _listed(value: Any) -> list[Any]:
    """``value`` as a list: what is null, true or false names nothing."""
    if value is None or isinstance(value, bool):
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _settle(trainer: Trainer, folder: str) -> None:
    """Have DDP look for parts without a gradient, and a profiler write into the run's folder, unless told otherwise."""
    if isinstance(trainer.strategy, DDPStrategy):
        # The head's warm-up and batches without vision leave parameters unused.
        trainer.strategy._ddp_kwargs.setdefault("find_unused_parameters", True)
    profiler = vars(trainer)["profiler"]
    if isinstance(profiler, Profiler) and not isinstance(profiler, PassThroughProfiler):
        profiler.dirpath = profiler.dirpath or folder
        profiler.filename = profiler.filename or "profile"


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split())
