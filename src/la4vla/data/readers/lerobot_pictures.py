"""Pictures that a LeRobot data set keeps in its parquet files instead of videos."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, UnidentifiedImageError

from la4vla.data.readers.lerobot_tables import one_line
from la4vla.data.unusable import UnusableEpisode


@dataclass(frozen=True)
class LeRobotPictures(Sequence[np.ndarray]):
    """A lazy sequence of ``(h, w, 3)`` uint8 RGB pictures of one episode; a pass over it reads the file once.

    Args:
        path: The parquet file, which may hold other episodes as well.
        column: The column, each row a PNG or JPEG file under ``bytes``.
        number: The episode's number, as the column ``episode_index`` has it.
        steps: Steps of the episode; there is one picture of each.
        every: Keep the first of every so many.
        size_px: Height and width to resize to, bicubic.
        episode: Key of the demonstration, for what is said of it.
        camera: Name of the camera, likewise.
    """

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
        """One pass; raises UnusableEpisode where a picture is missing or cannot be decoded."""
        files = self._files()
        for step in range(0, self.steps, self.every):
            yield self._picture(files[step], step)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[np.ndarray]: ...
    def __getitem__(self, index: int | slice) -> np.ndarray | Sequence[np.ndarray]:
        """Picture ``index``, or those of a slice in its order."""
        files = self._files()
        if isinstance(index, slice):
            chosen = range(*index.indices(len(self)))
            return [self._picture(files[i * self.every], i * self.every) for i in chosen]
        if not -len(self) <= index < len(self):
            raise IndexError(f"picture {index} of {len(self)}")
        step = index % len(self) * self.every
        return self._picture(files[step], step)

    def check(self) -> None:
        """Check, without decoding, that there is a picture of every step.

        Raises:
            UnusableEpisode: If there is not.
        """
        self._files()

    def _files(self) -> pa.Array:
        try:
            if self.column not in pq.read_schema(self.path).names:
                raise self._unusable("missing video", f"{self.path} has no column {self.column}.")
            mine = [("episode_index", "==", self.number)]
            rows = pq.read_table(self.path, columns=[self.column], filters=mine)[self.column].combine_chunks()
        except (pa.ArrowException, OSError) as error:
            raise self._unusable("broken video", f"{self.path} cannot be read ({one_line(error)}).") from error
        files = rows.field("bytes") if pa.types.is_struct(rows.type) else pa.nulls(len(rows))
        there = len(files) - files.null_count
        if there < self.steps:
            raise self._unusable("too few frames", f"there are {there} pictures for {self.steps} states.")
        return files

    def _picture(self, file: pa.Scalar, step: int) -> np.ndarray:
        try:
            picture = Image.open(io.BytesIO(file.as_py())).convert("RGB")
        except (UnidentifiedImageError, OSError) as error:
            raise self._unusable("broken video", f"the picture of step {step} cannot be decoded.") from error
        if picture.size != (self.size_px, self.size_px):
            picture = picture.resize((self.size_px, self.size_px), Image.Resampling.BICUBIC)
        return np.asarray(picture)

    def _unusable(self, reason: str, sentence: str) -> UnusableEpisode:
        return UnusableEpisode(self.episode, reason, f"camera {self.camera}: {sentence}")
