"""TensorBoard shows a film as a moving image of the same duration."""

import io

import imageio.v3 as imageio
import numpy as np
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from la4vla.training.callbacks.logged_film import MOST_FRAMES, log_film


def test_a_film_is_a_moving_image_in_tensorboard(tmp_path):
    frames = np.stack([np.full((370, 332, 3), 2 * number, dtype=np.uint8) for number in range(90)])
    imageio.imwrite(tmp_path / "reach_0.mp4", frames, plugin="FFMPEG", fps=30, macro_block_size=2)
    logger = TensorBoardLogger(tmp_path, name="tensorboard", version="")
    log_film([CSVLogger(tmp_path), logger], "metaworld/reach_0", tmp_path / "reach_0.mp4", 7)
    logger.finalize("success")
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    (shown,) = events.Images("metaworld/reach_0")
    image = Image.open(io.BytesIO(shown.encoded_image_string))
    assert (shown.step, shown.height, image.format) == (7, 256, "GIF")
    assert image.n_frames == MOST_FRAMES
    assert sum(_duration_ms(image, number) for number in range(image.n_frames)) == 3000
    image.seek(MOST_FRAMES - 1)
    assert abs(int(np.asarray(image.convert("RGB")).mean()) - 178) < 8


def _duration_ms(image: Image.Image, number: int) -> int:
    image.seek(number)
    return int(image.info["duration"])
