"""How fast video becomes shards, beside a bare loop that decodes the same files and encodes the same JPEG.

    python benchmarks/speed/readers.py [--frames 10000] [--repeats 3] [--sizes 224 448] [--folder FOLDER] [--csv FILE]

A LeRobot data set of version 3.0 with two cameras of 480x640 px is made up in a temporary folder, or in FOLDER, where a
later run of as many frames finds it again. The bare loop decodes each video from front to back in one thread, resizes
each picture and encodes it, and does nothing else. The build is the whole construction of one set of episodes:
metadata, numbers, checks, tars, indices, statistics, manifest, data card. Both run in this process alone, by turns.
Rates are per second of processor time, which is what one core gives whatever else the machine does, the best of the
repeats. 10,000 frames take about a quarter of an hour.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import yaml
from table import write_table

from la4vla.construction.build import build
from la4vla.construction.card import read_card
from la4vla.data.lerobot_export import export_lerobot
from la4vla.data.readers.droid import DROID
from la4vla.data.transforms import encode_jpeg
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.episode import Episode

HEIGHT, WIDTH, STEPS, QUALITY = 480, 640, 125, 95
BODY = Embodiment("arm", DROID.proprioception, DROID.actions, ("left", "wrist"), 15.0, gripper=6)


def pictures(steps: int, seed: int) -> Iterator[np.ndarray]:
    """A cluttered scene through which a camera pans, with the noise of a sensor."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (HEIGHT // 16, (WIDTH + 4 * steps) // 16 + 1, 3), dtype=np.uint8)
    scene = np.kron(coarse, np.ones((16, 16, 1), dtype=np.uint8))
    noise = rng.integers(0, 12, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for step in range(steps):
        yield np.maximum(scene[:, 4 * step : 4 * step + WIDTH], 12) - np.roll(noise, 7 * step, axis=1)


class Pan(list[np.ndarray]):
    """The pictures of one camera in one episode."""

    def __init__(self, seed: int) -> None:
        super().__init__(pictures(STEPS, seed))


def write_set(folder: Path, episodes: int) -> None:
    """A LeRobot data set of version 3.0."""
    rng = np.random.default_rng(0)

    def made() -> Iterator[Episode]:
        for i in range(episodes):
            numbers = rng.normal(size=(2, STEPS, 7)).astype(np.float32)
            frames = {camera: Pan(2 * i + k) for k, camera in enumerate(BODY.cameras)}
            yield Episode(f"e{i}", "none", "Press the button", BODY, *numbers, frames, np.arange(STEPS))

    export_lerobot(folder, made(), video_mb=50)


def bare(folder: Path, size_px: int) -> int:
    """Decode, resize, encode; the number of frames."""
    count = 0
    for path in sorted(folder.rglob("*.mp4")):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            for frame in container.decode(stream):
                image = frame.to_ndarray(
                    format="rgb24", width=size_px, height=size_px, interpolation="BICUBIC", threads=1
                )
                encode_jpeg(image, QUALITY)
                count += 1
    return count


def whole(folder: Path, size_px: int) -> int:
    """Build a shard set of the episodes; the number of frames."""
    with tempfile.TemporaryDirectory() as root:
        card = Path(root) / "card.yaml"
        reader = {
            "class_path": "la4vla.data.readers.lerobot.LeRobotReader",
            "init_args": {"root": str(folder), "size_px": size_px},
        }
        exports = {"vla": {"unit": "episode", "frames": True}}
        card.write_text(yaml.safe_dump({"reader": reader, "exports": exports, "processes": 1, "jpeg_quality": QUALITY}))
        manifest = build(read_card([str(card)]))["vla"]
        return sum(entry.steps for entry in manifest.shards) * len(BODY.cameras)


def measure(frames: int, repeats: int, sizes: Sequence[int], kept: Path | None) -> list[dict[str, object]]:
    """One row per size and way."""
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as root:
        episodes = max(1, frames // (STEPS * len(BODY.cameras)))
        folder = (kept or Path(root)) / f"episodes_{episodes}"
        if not folder.exists():  # it appears when it is whole
            folder.parent.mkdir(parents=True, exist_ok=True)
            write_set(folder, episodes)
        size_mb = sum(path.stat().st_size for path in folder.rglob("*.mp4")) / 1e6
        print(f"{episodes} episodes of {STEPS} steps, {size_mb:.0f} MB of video", flush=True)
        for size_px in sizes:
            ways: dict[str, Callable[[Path, int], int]] = {"bare decoding and encoding": bare, "build of shards": whole}
            best = dict.fromkeys(ways, 0.0)
            for turn in range(repeats):
                for name, way in ways.items():
                    begin = time.process_time()
                    count = way(folder, size_px)
                    rate = count / (time.process_time() - begin)
                    best[name] = max(best[name], rate)
                    print(f"{size_px} px, turn {turn + 1}, {name}: {rate:.1f} frames per core and second", flush=True)
            for name, per_core in best.items():
                share = per_core / best["bare decoding and encoding"]
                rows.append(
                    {
                        "px": size_px,
                        "way": name,
                        "frames": count,
                        "frames_per_core_s": round(per_core, 1),
                        "of_bare": round(share, 3),
                    }
                )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--frames", type=int, default=1000, help="of both cameras together")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 448], help="height and width in the shards")
    parser.add_argument("--folder", type=Path, help="where the data set is kept; else it is made up anew")
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    rows = measure(options.frames, options.repeats, options.sizes, options.folder)
    print(f"{platform.processor() or platform.machine()}, PyAV {av.__version__}, {HEIGHT}x{WIDTH} px, H.264")
    for row in rows:
        print("  ".join(f"{value!s:<28}" if key == "way" else f"{value!s:>7}" for key, value in row.items()))
    if options.csv:
        write_table(rows, options.csv)


if __name__ == "__main__":
    main()
