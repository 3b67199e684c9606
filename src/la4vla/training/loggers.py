"""What the loggers of a run are told besides the curves of its training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
from lightning import Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from tensorboard.compat.proto.summary_pb2 import Summary

LONGEST = 100  # frames of a film that TensorBoard keeps


def log_numbers(trainer: Trainer, numbers: Mapping[str, float]) -> None:
    """Log what was measured with the policy as it stands after the present step."""
    for logger in trainer.loggers:
        logger.log_metrics(dict(numbers), step=trainer.global_step)


def log_film(trainer: Trainer, name: str, film: Path) -> None:
    """Show a film where a logger can: TensorBoard among its pictures, moving, and W&B as a video.

    Args:
        trainer: Whose loggers, and at which step.
        name: What the film is called.
        film: A video file.
    """
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            frames = imageio.imread(film, plugin="FFMPEG")
            frames = frames[:: -(-len(frames) // LONGEST)]
            picture = Summary.Image(
                height=frames.shape[1],
                width=frames.shape[2],
                colorspace=3,
                encoded_image_string=imageio.imwrite("<bytes>", frames, extension=".gif", plugin="pillow", loop=0),
            )
            writer: Any = logger.experiment
            value = Summary.Value(tag=name, image=picture)
            writer.file_writer.add_summary(Summary(value=[value]), trainer.global_step)
        elif isinstance(logger, WandbLogger):
            logger.log_video(name, [str(film)], step=trainer.global_step)
