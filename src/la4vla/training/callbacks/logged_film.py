"""Films for the loggers that can show one."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary

MOST_FRAMES = 60  # of a film in TensorBoard, which keeps it whole in its event file
SIDE_PX = 256


def log_film(loggers: Sequence[Logger], name: str, film: Path, step: int) -> None:
    """Show a film to TensorBoard, as a moving image, and to W&B; other loggers take numbers alone.

    Args:
        loggers: Those of the run.
        name: Tag of the film.
        film: An MP4 file.
        step: The optimizer step it belongs to.
    """
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            gif, (width, height) = moving_image(film)
            image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=gif)
            logger.experiment._get_file_writer().add_summary(
                Summary(value=[Summary.Value(tag=name, image=image)]), step
            )
        elif isinstance(logger, WandbLogger):
            logger.log_video(name, [str(film)], step=step)


def moving_image(film: Path) -> tuple[bytes, tuple[int, int]]:
    """A film as a GIF of at most ``MOST_FRAMES`` frames over the same time, and its width and height in pixels."""
    frames = imageio.imread(film, plugin="FFMPEG")
    fps = float(imageio.immeta(film, plugin="FFMPEG")["fps"])
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), MOST_FRAMES)).astype(int))
    images = [Image.fromarray(frames[index]) for index in chosen]
    for image in images:
        image.thumbnail((SIDE_PX, SIDE_PX))
    file = io.BytesIO()
    duration_ms = max(20, round(1000 * len(frames) / fps / len(images)))
    images[0].save(file, "GIF", save_all=True, append_images=images[1:], duration=duration_ms, loop=0)
    return file.getvalue(), images[0].size
