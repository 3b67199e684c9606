"""Mixtures of shard sets as one resumable stream of batches; the one file of this room that knows Lightning."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from itertools import count
from typing import Any

import numpy as np
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Sampler

from la4vla.data.assembly import Assembly, Feed
from la4vla.data.chunking import Windows
from la4vla.data.parcel import PREFETCHED, Couriers
from la4vla.data.shards import Shards
from la4vla.data.source import Source, image_size, merged_domains, read_manifest
from la4vla.data.stream import STREAM_VERSION, Plan, SampleStream
from la4vla.data.transforms import Augmentation
from la4vla.schema.batch import Batch

SAMPLED = 1 << 16

__all__ = ["MixtureDataModule", "Source"]


class MixtureDataModule(LightningDataModule):
    """The training batches of one fit.

    The batches are a function of (sources, horizon, batch_size, augment, seed) and of the position in the stream: the
    number of processes, workers and restarts changes nothing. The stream has no end; the trainer's ``max_steps`` does.

    Args:
        sources: The ingredients, by name.
        horizon: Actions per window (``H``).
        batch_size: Samples per batch over all processes, before gradient accumulation; a multiple of the processes.
        workers: Reading processes per training process; 0 reads in the training process.
        augment: Image augmentation of visible views, or None.
        seed: Seed of the order and of every sample's draw.

    Attributes:
        domains: One domain per embodiment over all sources, in order of appearance.
        source_domains: By source, the domain of its own data.
        content_hashes: By source, the content hash of its shards.
        consumed: Batches handed to training so far, those before a resume included.

    Raises:
        FileNotFoundError: If a source's folder holds no finished shard set.
        ValueError: If the sources do not fit together.
    """

    def __init__(
        self,
        sources: dict[str, Source],
        horizon: int = 16,
        batch_size: int = 64,
        workers: int = 1,
        augment: Augmentation | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not sources:
            raise ValueError("A mixture needs at least one source; `sources` is empty.")
        if horizon < 1 or batch_size < 1 or workers < 0:
            raise ValueError(
                f"horizon and batch_size must be at least 1 and workers at least 0, "
                f"got {horizon}, {batch_size} and {workers}."
            )
        self.sources, self.horizon, self.batch_size, self.workers = sources, horizon, batch_size, workers
        self.augment, self.seed = augment, seed
        manifests = {name: read_manifest(name, source) for name, source in sources.items()}
        self.content_hashes = {name: manifest.content_hash for name, manifest in manifests.items()}
        self.domains = merged_domains(sources, manifests)
        self.source_domains = {name: manifest.domain for name, manifest in manifests.items()}
        self._size_px = image_size(sources, manifests)
        self._loader: _Loader | None = None
        self._opened: dict[str, Shards] = {}
        self.consumed, self._settled, self._unfinished, self._seen_step = 0, 0, 0, -1

    def setup(self, stage: str) -> None:
        """Open the shards."""
        if self._loader is not None:
            return
        self._opened = opened = {folder: Shards(folder) for folder in {s.shards for s in self.sources.values()}}
        feeds = [
            Feed(name, Windows(opened[source.shards], source.vision, self.horizon))
            for name, source in self.sources.items()
        ]
        for feed in feeds:
            if not len(feed.windows):
                raise ValueError(f"Source {feed.name} ({self.sources[feed.name].shards}) holds no window to train on.")
        stream = SampleStream(
            names=[feed.name for feed in feeds],
            weights=[source.weight for source in self.sources.values()],
            sizes=[len(feed.windows) for feed in feeds],
            batch_size=self.batch_size,
            seed=self.seed,
        )
        views = max(len(domain.embodiment.cameras) for domain in self.domains)
        self._loader = _Loader(self, Assembly(feeds, views, self._size_px, self.augment), stream)

    def sample(self, source: str) -> tuple[np.ndarray, np.ndarray]:
        """Proprioception ``(n, S)`` and actions ``(n, A)`` at evenly spaced steps of a source whose shards are open."""
        shards = self._opened[self.sources[source].shards]
        every = -(-len(shards.actions) // SAMPLED) or 1
        return shards.proprioception[::every], shards.actions[::every]

    def instructions(self) -> Iterator[tuple[str, str, str]]:
        """Source, key and instruction of every record, of shards that are open."""
        for name, source in self.sources.items():
            for record in self._opened[source.shards].records:
                yield name, record.key, record.instruction

    def train_dataloader(self) -> _Loader:
        """The endless stream of this process's share of every batch, from the present position on."""
        if self._loader is None:
            self.setup("fit")
        assert self._loader is not None
        self._rewind()
        return self._loader

    def teardown(self, stage: str) -> None:
        """Close the shards and end the workers."""
        self._loader, self._opened = None, {}

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Count the batch: here, unlike in the loader, it is really about to be trained on."""
        if self.trainer is not None and self.trainer.training:
            self._settle()
            self.consumed += 1
        return batch

    @property
    def position(self) -> int:
        """The batches that went into finished optimizer steps, where an interrupted run has to go on."""
        self._settle()
        return self._settled

    def _settle(self) -> None:
        """Batches count for good once the optimizer has stepped on them."""
        step = self.trainer.global_step if self.trainer is not None else -1
        if step != self._seen_step:
            self._seen_step, self._settled = step, self.consumed

    def state_dict(self) -> dict[str, Any]:
        """The position and what the stream is a function of."""
        unfinished = self.consumed - self.position
        return {"position": self.position, "unfinished": unfinished, "fingerprint": self._fingerprint()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on at a saved position.

        Raises:
            ValueError: If the saved stream is another one; names what differs.
        """
        saved, own = state_dict["fingerprint"], self._fingerprint()
        differing = [
            f"{key} was {saved.get(key, 'absent')}, is {own.get(key, 'absent')}"
            for key in sorted(saved.keys() | own.keys())
            if saved.get(key) != own.get(key)
        ]
        if differing:
            raise ValueError(
                f"This checkpoint was trained on another stream of batches: {'; '.join(differing)}. "
                "Restore these settings to resume, or start a new run after this one."
            )
        self.consumed = self._settled = int(state_dict["position"])
        self._unfinished = int(state_dict["unfinished"])

    def _rewind(self) -> None:
        """Take the batches of an unfinished optimizer step out of Lightning's own count, for they come again.

        Lightning steps the optimizer when its count is a multiple of ``accumulate_grad_batches``; a run stopped in
        between would otherwise step on fewer batches than an uninterrupted one.
        """
        if self.trainer is not None and self._unfinished:
            progress = self.trainer.fit_loop.epoch_loop.batch_progress
            for tracker in (progress.total, progress.current):
                tracker.ready -= self._unfinished
                for stage in ("started", "processed", "completed"):
                    setattr(tracker, stage, tracker.ready)
        self._unfinished = 0

    def _fingerprint(self) -> dict[str, Any]:
        fingerprint: dict[str, Any] = {"horizon": self.horizon, "batch_size": self.batch_size, "seed": self.seed}
        fingerprint["stream"] = STREAM_VERSION
        fingerprint["augment"] = None if self.augment is None else repr(asdict(self.augment))
        for name, source in self.sources.items():
            fingerprint |= {f"sources.{name}.vision": source.vision, f"sources.{name}.weight": source.weight}
            fingerprint[f"sources.{name}.content_hash"] = self.content_hashes[name]
        return fingerprint


class _Loader:
    """What the trainer iterates: this process's share of every batch from the module's position on, endlessly.

    It is no DataLoader, because Lightning takes those apart to put a distributed sampler in.
    """

    def __init__(self, module: MixtureDataModule, assembly: Assembly, stream: SampleStream) -> None:
        self.assembly = assembly
        self._module, self._stream = module, stream

    def __iter__(self) -> Iterator[Batch]:
        trainer = self._module.trainer
        rank, ranks = (trainer.global_rank, trainer.world_size) if trainer is not None else (0, 1)
        pinned = trainer is not None and trainer.strategy.root_device.type == "cuda"
        plans = self._plans(rank, ranks)
        # as a generator it drops its workers at once when it is dropped; the garbage collector would take seconds
        # where nothing is seen there is nothing to decode, and reading here is faster
        helped = self._module.workers and self.assembly.image_shape[0]
        for batch in self._sent(plans, ranks, pinned) if helped else self._read(plans):
            yield batch.pin_memory() if pinned else batch

    def _plans(self, rank: int, ranks: int) -> Iterator[Plan]:
        if self._module.batch_size % ranks:
            raise ValueError(
                f"batch_size={self._module.batch_size} counts the samples of all {ranks} processes, so it must be a "
                f"multiple of {ranks}."
            )
        for n in count(self._module.consumed):
            yield self._stream.plan(n).share(rank, ranks)

    def _read(self, plans: Iterator[Plan]) -> Iterator[Batch]:
        for plan in plans:
            yield self.assembly.batch(plan)

    def _sent(self, plans: Iterator[Plan], ranks: int, pinned: bool) -> Iterator[Batch]:
        couriers = Couriers(self.assembly, self._module.workers, self._module.batch_size // ranks)
        asked = _Plans(plans)
        loader = DataLoader(
            couriers,
            batch_size=None,
            sampler=asked,
            num_workers=self._module.workers,
            prefetch_factor=PREFETCHED,
            collate_fn=_same,
            worker_init_fn=_leave_interrupts_to_parent,
        )
        for parcel in loader:
            yield couriers.receive(parcel, asked.handed_out.popleft(), pinned)


class _Plans(Sampler[Plan]):
    """An iterator as a sampler that remembers what it handed out; parcels come back in that order."""

    def __init__(self, plans: Iterator[Plan]) -> None:
        self._plans = plans
        self.handed_out: deque[Plan] = deque()

    def __iter__(self) -> Iterator[Plan]:
        for plan in self._plans:
            self.handed_out.append(plan)
            yield plan


def _leave_interrupts_to_parent(worker: int) -> None:
    """A terminal's Ctrl-C reaches readers too; training is to finish its step, and needs batches for it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _same(parcel: Any) -> Any:
    """What :class:`Couriers` sends stands for a whole batch already."""
    return parcel
