"""Pictures that a LeRobot data set keeps in its parquet files, or as files beside them, instead of videos."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
from PIL import Image, UnidentifiedImageError

from la4vla.data.readers.lerobot_meta import EpisodeEntry
from la4vla.data.readers.lerobot_tables import one_line
from la4vla.data.readers.picture_colour import as_rgb
from la4vla.data.unusable import UnusableEpisode

with suppress(ImportError):  # the reader's constructor says what to install
    import pyarrow as pa
    import pyarrow.parquet as pq

# How recorders of the versions 3 and 2 name the folder of an episode and the file of a step below images/<key>.
NAMES = (("episode-{:06d}", "frame-{:06d}"), ("episode_{:06d}", "frame_{:06d}"))
ENDINGS = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class LeRobotPictures(Sequence[np.ndarray]):
    """A lazy sequence of ``(h, w, 3)`` uint8 RGB pictures of one episode; a pass over it reads the parquet file once.

    Args:
        root: Folder of the data set.
        path: The parquet file, which may hold other episodes as well.
        column: The column: each row a PNG or JPEG file under ``bytes``, or the place of one under ``path``, from the
            data set's folder or the parquet file's. Where neither is told, files lie in ``images/<column>``.
        number: The episode's number, as the column ``episode_index`` has it.
        steps: Steps of the episode; there is one picture of each.
        every: Keep the first of every so many.
        size_px: Height and width to resize to, bicubic.
        episode: Key of the demonstration, for what is said of it.
        camera: Name of the camera, likewise.
    """

    root: Path
    path: Path
    column: str
    number: int
    steps: int
    every: int
    size_px: int
    episode: str
    camera: str

    def __len__(self) -> int:
        return -(-self.steps // self.every)

    def __iter__(self) -> Iterator[np.ndarray]:
        """One pass; raises UnusableEpisode where a picture is missing, cannot be decoded or is of another size."""
        files, first = self._files(), None
        for step in range(0, self.steps, self.every):
            picture = self._decoded(files[step], step)
            first = first or picture.size
            if picture.size != first:
                sizes = " px, the first of the episode ".join(
                    f"{height}x{width}" for width, height in (picture.size, first)
                )
                raise self._unusable("uneven pictures", f"the picture of step {step} has {sizes} px.")
            yield self._resized(picture)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[np.ndarray]: ...
    def __getitem__(self, index: int | slice) -> np.ndarray | Sequence[np.ndarray]:
        """Picture ``index``, or those of a slice in its order."""
        files = self._files()
        if isinstance(index, slice):
            chosen = [i * self.every for i in range(*index.indices(len(self)))]
            return [self._resized(self._decoded(files[step], step)) for step in chosen]
        if not -len(self) <= index < len(self):
            raise IndexError(f"picture {index} of {len(self)}")
        step = index % len(self) * self.every
        return self._resized(self._decoded(files[step], step))

    def check(self) -> None:
        """Check, without decoding, that there is a picture of every step.

        Raises:
            UnusableEpisode: If there is not.
        """
        self._files()

    def beside(self) -> list[Path]:
        """The files that lie outside the parquet file; none where it holds the pictures, or cannot be read."""
        try:
            with pq.ParquetFile(self.path) as file:
                if self.column in file.schema_arrow.names:
                    row = next(file.iter_batches(1, columns=[self.column]))[self.column][0].as_py()
                    if isinstance(row, dict) and row.get("bytes") is not None:
                        return []
            return [file for file in self._files() if isinstance(file, Path)]
        except (UnusableEpisode, pa.ArrowException, OSError, StopIteration):
            return []  # whoever reads it will say so

    def _files(self) -> list[bytes | Path]:
        """The content of every step's file where the table holds it, else its path."""
        try:
            kept = self.column in pq.read_schema(self.path).names
            mine = [("episode_index", "==", self.number)]
            column = self.column if kept else "episode_index"
            told = pq.read_table(self.path, columns=[column], filters=mine)[column].to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise self._unusable("broken video", f"{self.path} cannot be read ({one_line(error)}).") from error
        found = [self._file(row if kept else None, step) for step, row in enumerate(told)]
        there = [file for file in found if file is not None]
        if not there and not kept:
            beside = self.root / "images" / self.column
            raise self._unusable(
                "missing video", f"{self.path} has no column {self.column}, nor has {beside} pictures."
            )
        if len(there) < self.steps:
            raise self._unusable("too few frames", f"there are {len(there)} pictures for {self.steps} states.")
        return there

    def _file(self, row: object, step: int) -> bytes | Path | None:
        told = row.get("path") if isinstance(row, dict) else row
        if isinstance(row, dict) and row.get("bytes") is not None:
            content: bytes = row["bytes"]
            return content
        folders = [self.root / "images" / self.column / folder.format(self.number) for folder, _ in NAMES]
        if isinstance(told, str) and told:
            places = [self.root / told, self.path.parent / told, *(folder / Path(told).name for folder in folders)]
        else:
            names = [name.format(step) for _, name in NAMES]
            places = [folder / (name + end) for folder, name in zip(folders, names, strict=True) for end in ENDINGS]
        return next((place for place in places if place.is_file()), None)

    def _decoded(self, file: bytes | Path, step: int) -> Image.Image:
        try:
            picture = Image.open(io.BytesIO(file) if isinstance(file, bytes) else file)
            picture.load()
        except (UnidentifiedImageError, OSError, SyntaxError) as error:  # Pillow raises the last for broken PNG files
            raise self._unusable("broken video", f"the picture of step {step} cannot be decoded.") from error
        try:
            return as_rgb(picture)
        except ValueError as error:
            raise self._unusable("not colour", f"the picture of step {step} {error}") from error

    def _resized(self, picture: Image.Image) -> np.ndarray:
        if picture.size != (self.size_px, self.size_px):
            picture = picture.resize((self.size_px, self.size_px), Image.Resampling.BICUBIC)
        return np.asarray(picture)

    def _unusable(self, reason: str, sentence: str) -> UnusableEpisode:
        return UnusableEpisode(self.episode, reason, f"camera {self.camera}: {sentence}")


def files_beside(root: Path, entry: EpisodeEntry, column: str) -> list[Path]:
    """The pictures of an episode that lie outside its parquet file."""
    return LeRobotPictures(root, entry.data, column, entry.index, entry.length, 1, 1, "?", "?").beside()
