"""A clip is its part of a file, each picture at its step, whatever order they are asked for in."""

from __future__ import annotations

import pickle
from fractions import Fraction

import av
import numpy as np
import pytest

from la4vla.data.unusable import UnusableEpisode
from la4vla.data.video import VideoClip
from la4vla.data.video_file import VideoFile

STEPS = 40


def grey(step: int) -> np.ndarray:
    """Picture ``step``: grey levels five apart, which compression does not mix up."""
    return np.full((24, 32, 3), 20 + 5 * step, dtype=np.uint8)


def step_of(picture: np.ndarray) -> int:
    return round((float(picture.mean()) - 20) / 5)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    video = VideoFile(path, 20.0, 24, 32)
    for step in range(STEPS):
        video.append(grey(step))
    video.close()
    return path


@pytest.fixture(scope="module")
def reordered(tmp_path_factory):
    """The same with bidirectional pictures, stored in another order than shown, and few key pictures."""
    path = tmp_path_factory.mktemp("films") / "reordered.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 20, options={"bf": "3", "g": "25", "crf": "10"})
        stream.height, stream.width, stream.pix_fmt = 24, 32, "yuv420p"
        for step in range(STEPS):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey(step), format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("start", "steps"), [(0, 40), (0, 7), (13, 1), (30, 10), (26, 5)])
def test_a_clip_is_its_part_of_the_file(film, reordered, start, steps):
    for path in (film, reordered):
        clip = VideoClip(path, steps, 20.0, start / 20)
        clip.check()
        assert [step_of(picture) for picture in clip] == list(range(start, start + steps)) and len(clip) == steps


def test_pictures_in_any_order_and_one_pass_for_ascending_ones(film, monkeypatch):
    clip = VideoClip(film, 20, 20.0, 0.5, every=3)
    opened = []
    original = VideoClip.__iter__
    monkeypatch.setattr(VideoClip, "__iter__", lambda self: opened.append(1) or original(self))
    assert [step_of(clip[i]) for i in (0, 2, 2, 5)] == [10, 16, 16, 25] and len(opened) == 1
    assert step_of(clip[-1]) == 28 and step_of(clip[1]) == 13 and len(opened) == 2
    assert [step_of(p) for p in clip[4:7]] == [22, 25, 28] and len(clip) == 7
    assert step_of(pickle.loads(pickle.dumps(clip))[1]) == 13
    with pytest.raises(IndexError):
        clip[7]


def test_pictures_are_resized(film):
    assert VideoClip(film, 3, 20.0, size_px=16)[2].shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("settings", "reason", "sentence"),
    [
        ({"steps": 41}, "too few frames", "has 40 pictures for 41 states"),
        ({"start_s": 1.5}, "too few frames", "has 10 pictures for 20 states"),
        ({"fps": 10.0}, "wrong fps", "runs at 20 Hz, meta says 10 Hz"),
        ({"start_s": 0.52}, "wrong fps", "lies at step"),
    ],
)
def test_a_clip_that_does_not_fit_its_file_is_told(film, settings, reason, sentence):
    settings = {"steps": 20, "fps": 20.0, "episode": "e7", "camera": "eye"} | settings
    with pytest.raises(
        UnusableEpisode, match=f"Episode e7 is left out \\({reason}\\): camera eye.*{sentence}"
    ) as caught:
        VideoClip(film, **settings).check()
    assert pickle.loads(pickle.dumps(caught.value)).reason == reason


def test_files_that_are_missing_or_broken_are_told(film, tmp_path):
    with pytest.raises(UnusableEpisode, match="missing video"):
        VideoClip(tmp_path / "none.mp4", 3, 20.0).check()
    (tmp_path / "text.mp4").write_text("no video at all")
    with pytest.raises(UnusableEpisode, match="broken video"):
        VideoClip(tmp_path / "text.mp4", 3, 20.0).check()
    with pytest.raises(UnusableEpisode, match="decoding ended after 40 of 50"):
        list(VideoClip(film, 50, 20.0))


def test_a_video_holds_pictures_of_one_even_size(tmp_path):
    with pytest.raises(ValueError, match="even height and width, got 23x32"):
        VideoFile(tmp_path / "odd.mp4", 20.0, 23, 32)
    video = VideoFile(tmp_path / "even.mp4", 20.0, 24, 32)
    with pytest.raises(ValueError, match="pictures of 24x32 px"):
        video.append(np.zeros((24, 30, 3), dtype=np.uint8))


def film_of(path, codec: str, form: str, written: str, pictures) -> VideoClip:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, 20)
        stream.height, stream.width, stream.pix_fmt = 24, 32, form
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format=written)))
        container.mux(stream.encode(None))
    return VideoClip(path, len(pictures), 20.0, size_px=16, episode="e", camera="eye")


def test_depth_in_a_video_is_told_before_anything_is_decoded(tmp_path):
    millimetres = [np.full((24, 32), 3000, dtype=np.uint16)] * 4
    clip = film_of(tmp_path / "depth.mkv", "ffv1", "gray16le", "gray16le", millimetres)
    with pytest.raises(UnusableEpisode, match=r"\(not colour\): camera eye: .* one channel \(pixel format gray16le\)"):
        clip.check()


@pytest.mark.parametrize("alpha", [255, 90])
def test_a_video_with_alpha_is_read_where_it_is_opaque(tmp_path, alpha):
    pictures = [np.full((24, 32, 4), (200, 100, 50, alpha), dtype=np.uint8)] * 3
    clip = film_of(tmp_path / "glass.mov", "png", "rgba", "rgba", pictures)
    clip.check()
    if alpha == 255:
        assert clip[2][3, 3].tolist() == [200, 100, 50]
    else:
        with pytest.raises(UnusableEpisode, match=r"can be seen through \(its alpha goes down to 90\)"):
            list(clip)


def test_ten_bits_of_colour_are_colour(tmp_path):
    pictures = [np.full((24, 32, 3), (200, 100, 50), dtype=np.uint8)] * 3
    clip = film_of(tmp_path / "ten.mkv", "ffv1", "yuv420p10le", "rgb24", pictures)
    clip.check()
    np.testing.assert_allclose(clip[1][3, 3], (200, 100, 50), atol=4)


def test_a_picture_of_another_size_is_told(tmp_path):
    path = tmp_path / "zoomed.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", 20)
        stream.height, stream.width, stream.pix_fmt = 24, 32, "yuvj420p"
        for step, (height, width) in enumerate([(24, 32), (24, 32), (48, 32)]):
            codec = av.CodecContext.create("mjpeg", "w")
            codec.height, codec.width, codec.pix_fmt, codec.time_base = height, width, "yuvj420p", Fraction(1, 20)
            frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 90, dtype=np.uint8), format="rgb24")
            frame.pts = step
            for packet in [*codec.encode(frame.reformat(format="yuvj420p")), *codec.encode(None)]:
                packet.stream, packet.time_base = stream, Fraction(1, 20)
                packet.pts = packet.dts = step
                container.mux(packet)
    clip = VideoClip(path, 3, 20.0, size_px=16, episode="e", camera="eye")
    clip.check()
    with pytest.raises(
        UnusableEpisode, match=r"\(uneven pictures\): camera eye: .* step 2 has 48x32 px, the first .* 24x32"
    ):
        list(clip)
