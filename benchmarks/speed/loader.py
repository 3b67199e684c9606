"""How fast the loader is alone, beside a bare loop that only decodes the same JPEG files.

    python benchmarks/speed/loader.py [--batches 50] [--repeats 20] [--csv benchmarks/speed/loader.csv]

Everything is made up and lives in a temporary folder: 400 segments of 45 steps, a frame of smooth colours at each step.
Rates are the best of the repeats, because what else the machine does can only slow a repeat down. Every rate is per
reading process: batches are read in the calling process (workers 0) or in one worker, from which they travel here.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from table import write_table

from la4vla.data.mixture import MixtureDataModule, Source
from la4vla.data.shard_writer import write_manifest, write_shard
from la4vla.data.shards import Record, Shards
from la4vla.data.stream import SampleStream
from la4vla.data.transforms import Augmentation, decode_jpeg, encode_jpeg
from la4vla.schema.batch import Batch
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.statistics import Domain, Statistics
from la4vla.schema.view import Shot, ViewProfile

Vision = Literal["visible", "masked"]
RECORDS, STEPS, DIM, HORIZON = 400, 45, 7, 16
ARM = Embodiment("arm", tuple(f"p{i}" for i in range(DIM)), tuple(f"a{i}" for i in range(DIM)), ("front",), 15.0)


def smooth_images(rng: np.random.Generator, count: int, size_px: int) -> np.ndarray:
    """``(count, size_px, size_px, 3)`` uint8 images whose JPEG files are about as large as rendered scenes'."""
    coarse = torch.from_numpy(rng.uniform(0, 255, (count, 3, 12, 12))).float()
    fine = torch.nn.functional.interpolate(coarse, size=(size_px, size_px), mode="bicubic").clamp(0, 255)
    return fine.permute(0, 2, 3, 1).to(torch.uint8).numpy()


def write_set(folder: Path, size_px: int) -> None:
    """A finished set with a frame at every step."""
    rng = np.random.default_rng(0)
    pool = [encode_jpeg(image) for image in smooth_images(rng, 200, size_px)]
    records = [
        Record(
            key=f"segment{i:05d}",
            task="none",
            instruction="Move forward while holding nothing",
            proprioception=rng.normal(size=(STEPS, DIM)),
            actions=rng.normal(size=(STEPS, DIM)),
            frame_steps=np.arange(STEPS),
            images={"front": [pool[j] for j in rng.integers(0, len(pool), STEPS)]},
        )
        for i in range(RECORDS)
    ]
    write_shard(folder / "00000.tar", records)
    zeros = np.zeros(DIM)
    statistics = Statistics(zeros, zeros, zeros, zeros, zeros, zeros, count=RECORDS * STEPS)
    domain = Domain(ARM, ViewProfile("front", (Shot("front", size_px),), size_px), statistics, statistics)
    write_manifest(folder, name="speed", unit="segment", domain=domain, shards=["00000.tar"])


def rate(stream: Iterator[object], batches: int, batch_size: int) -> float:
    """Samples per second over ``batches`` items of ``stream``, after those a worker had ready."""
    for _ in islice(stream, 3):
        pass
    begin = time.perf_counter()
    for _ in islice(stream, batches):
        pass
    return batches * batch_size / (time.perf_counter() - begin)


def loader(
    folder: Path, vision: Vision, workers: int, batch_size: int, augment: Augmentation | None
) -> Iterator[Batch]:
    """A warm stream of batches."""
    module = MixtureDataModule({"s": Source(str(folder), vision)}, HORIZON, batch_size, workers, augment)
    stream = iter(module.train_dataloader())
    next(stream)
    return stream


def bare_decoding(folder: Path, batch_size: int) -> Iterator[list[np.ndarray]]:
    """Decode the frames of the very same stream, from memory, and do nothing else."""
    shards = Shards(folder)
    files = [shards.frame_bytes(frame, "front") for frame in range(len(shards.frame_steps))]
    stream = SampleStream(["s"], [1.0], [len(files)], batch_size, seed=0)
    plans = [stream.plan(n).window.tolist() for n in range(200)]
    n = 0
    while True:
        yield [decode_jpeg(files[i]) for i in plans[n % len(plans)]]
        n += 1


def measure(batches: int, repeats: int, batch_size: int) -> list[dict[str, object]]:
    """One row per way of reading; the ways take turns, so that all see the same machine."""
    rows = []
    with tempfile.TemporaryDirectory() as root:
        for size_px, share in ((64, 1), (448, 10)):
            folder = Path(root) / str(size_px)
            write_set(folder, size_px)
            ways: dict[str, Callable[[], Iterator[object]]] = {
                "bare decoding loop": lambda f=folder: bare_decoding(f, batch_size),
                "VLA, workers 0": lambda f=folder: loader(f, "visible", 0, batch_size, None),
                "VLA, workers 1": lambda f=folder: loader(f, "visible", 1, batch_size, None),
                "VLA augmented, workers 0": lambda f=folder: loader(f, "visible", 0, batch_size, Augmentation()),
                "LA, workers 0": lambda f=folder: loader(f, "masked", 0, batch_size, None),
                "LA, workers 1": lambda f=folder: loader(f, "masked", 1, batch_size, None),
            }
            streams = {name: way() for name, way in ways.items() if size_px == 64 or "LA," not in name[:3]}
            best = dict.fromkeys(streams, 0.0)
            for _ in range(repeats):
                for name, stream in streams.items():
                    best[name] = max(best[name], rate(stream, max(1, batches // share), batch_size))
            for name, value in best.items():
                ratio = "" if name.startswith("LA") else round(value / best["bare decoding loop"], 3)
                rows.append({"px": size_px, "way": name, "windows_per_s": round(value), "of_bare_decoding": ratio})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--batches", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = measure(options.batches, options.repeats, options.batch_size)
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, batch {options.batch_size}")
    for row in rows:
        print(f"{row['px']:>4} px  {row['way']:<26} {row['windows_per_s']:>8} windows/s  {row['of_bare_decoding']}")
    if options.csv:
        write_table(rows, options.csv)


if __name__ == "__main__":
    main()
