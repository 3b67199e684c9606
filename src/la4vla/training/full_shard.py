"""FullShard: weights, gradients and optimizer state spread over all processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning import Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.trainer.states import TrainerFn
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.optim import Optimizer

from la4vla.models.policy import Policy
from la4vla.training import shard_files
from la4vla.training.module import policy_of


class FullShard(ModelParallelStrategy):
    """Fully sharded data parallelism (torch's ``fully_shard``), on CUDA and, for tests, on the CPU.

    Every layer of the backbone is gathered when it runs and let go afterwards; the head, the embeddings and what else
    is left are gathered once a step. Gradients and sums are those of one process, up to rounding.

    A full checkpoint is the same file that one process writes, so that either reads the other's; a sharded one is a
    folder into which every process writes its own part. Both can be read by any number of processes.

    Args:
        sharded_checkpoints: Whether each process writes its own part. Much faster for large policies; the folder has
            to be on a disk that all machines share.
        gathers_again: Whether a layer is let go after the forward pass and gathered again for the backward pass. False
            takes more memory and a third less traffic, like stage 2 of ZeRO.

    Raises:
        ValueError: If weights are to be averaged as well, which needs all of them in one place.
    """

    def __init__(self, sharded_checkpoints: bool = False, gathers_again: bool = True) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=sharded_checkpoints)
        self.gathers_again = gathers_again

    def setup_environment(self) -> None:
        """Lay all processes out in one row."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def setup(self, trainer: Trainer) -> None:
        """Shard the policy, then build the optimizer over its shards."""
        if any(isinstance(callback, WeightAveraging) for callback in vars(trainer)["callbacks"]):
            raise ValueError(
                "Sharded weights cannot be averaged: leave out either overlays/ema.yaml or overlays/fsdp.yaml."
            )
        assert self.accelerator is not None and self.lightning_module is not None
        self.accelerator.setup(trainer)
        _shard(policy_of(self.lightning_module), self.device_mesh["data_parallel"], self.gathers_again)
        self.model = self.precision_plugin.convert_module(self.lightning_module)
        self.model_to_device()
        self.barrier()
        if trainer.state.fn == TrainerFn.FITTING:
            self.setup_optimizers(trainer)
        self.setup_precision_plugin()

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The optimizer's state, sharded where the checkpoint is, whole otherwise."""
        state = optimizer.state_dict()
        return state if self._save_distributed_checkpoint else shard_files.whole(state)

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any | None = None) -> None:
        """Save ``checkpoint`` so that a kill at any moment leaves the previous one."""
        if self._save_distributed_checkpoint:
            shard_files.save(checkpoint, Path(self.broadcast(filepath)))
        else:
            super().save_checkpoint(checkpoint, filepath, storage_options)

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Fill the shards of policy and optimizer from a full or a sharded checkpoint; returns all the rest."""
        assert self.model is not None
        return shard_files.load(Path(self.broadcast(checkpoint_path)), self.model, self.optimizers)


def _shard(policy: Policy, mesh: DeviceMesh, gathers_again: bool) -> None:
    lists = [module for module in policy.backbone.modules() if isinstance(module, nn.ModuleList)]
    for layers in reversed(lists):
        for layer in layers:
            fully_shard(layer, mesh=mesh, reshard_after_forward=gathers_again)
    fully_shard(policy, mesh=mesh)
    register_fsdp_forward_method(policy, "loss")
