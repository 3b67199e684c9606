"""Pictures stored in an HDF5 file, loaded when they are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from PIL import Image

from la4vla.data.unusable import UnusableEpisode

with suppress(ImportError):  # the reader's constructor says what to install
    import h5py


def picture_shape(stored: h5py.Dataset | h5py.Group) -> tuple[int, int]:
    """Height and width of the pictures in an array.

    Raises:
        ValueError: If the array does not hold ``(T, h, w, 3)`` uint8; says what it holds instead.
    """
    if isinstance(stored, h5py.Group):
        raise ValueError(f"{stored.name} of {stored.file.filename} is a group, expected an array of pictures.")
    shape, kind = tuple(stored.shape or ()), stored.dtype
    if len(shape) == 4 and shape[3] == 3 and kind == np.uint8:
        return int(shape[1]), int(shape[2])
    found = f"{stored.name} of {stored.file.filename} holds {shape} {kind}, {_guess(shape, kind)}"
    raise ValueError(f"{found}; expected (T, h, w, 3) uint8 in RGB. Convert it, or leave the camera out.")


def _guess(shape: tuple[int, ...], kind: np.dtype[Any]) -> str:
    """What an array of that shape and type seems to be."""
    if len(shape) == 3 or (len(shape) == 4 and 1 in (shape[1], shape[3])):
        return "one channel, as depth has"
    if len(shape) != 4:
        return "no pictures" if len(shape) != 2 else "perhaps encoded pictures"
    if shape[3] == 4:
        return "RGBA or colour with depth"
    if shape[3] != 3 and shape[1] in (3, 4):
        return "the channels before height and width"
    return "no bytes" if kind != np.uint8 else "no colour"


@dataclass(frozen=True)
class Hdf5Frames(Sequence[np.ndarray]):
    """A lazy sequence of ``(h, w, 3)`` uint8 RGB pictures.

    Args:
        path: The file.
        dataset: Path of the ``(T, h, w, 3)`` uint8 array in it.
        steps: How many of its rows belong to the demonstration.
        every: Keep the first of every so many.
        size_px: Height and width to resize to, bicubic; None keeps the size.
        rotate_deg: Rotation in the image plane, a multiple of 90.
        episode: Key of the demonstration, for what is said of it.
        camera: Name of the camera, likewise.
    """

    path: Path
    dataset: str
    steps: int
    every: int = 1
    size_px: int | None = None
    rotate_deg: int = 0
    episode: str = "?"
    camera: str = "?"

    def __len__(self) -> int:
        return -(-self.steps // self.every)

    def __iter__(self) -> Iterator[np.ndarray]:
        """All pictures; raises UnusableEpisode where one cannot be read."""
        with h5py.File(self.path) as file:
            stored = file[self.dataset]
            for step in range(0, self.steps, self.every):
                yield self._picture(stored, step)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[np.ndarray]: ...
    def __getitem__(self, index: int | slice) -> np.ndarray | Sequence[np.ndarray]:
        """Picture ``index``, or those of a slice."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"picture {index} of {len(self)}")
        with h5py.File(self.path) as file:
            return self._picture(file[self.dataset], index % len(self) * self.every)

    def _picture(self, stored: h5py.Dataset, step: int) -> np.ndarray:
        try:
            picture = np.rot90(stored[step], self.rotate_deg // 90)
        except OSError as error:
            sentence = f"camera {self.camera}: the picture of step {step} cannot be read ({error})."
            raise UnusableEpisode(self.episode, "broken video", sentence) from error
        if self.size_px is not None and picture.shape[:2] != (self.size_px, self.size_px):
            resized = Image.fromarray(picture).resize((self.size_px, self.size_px), Image.Resampling.BICUBIC)
            return np.asarray(resized)
        return np.ascontiguousarray(picture)
