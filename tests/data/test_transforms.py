from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from la4vla.data.transforms import Augmentation, _resampled, decode_jpeg, encode_jpeg

STILL = {"scale": (1.0, 1.0), "rotation_deg": 0.0, "brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}


def smooth(count=4, size=32, seed=0):
    coarse = torch.rand(count, 3, 5, 5, generator=torch.Generator().manual_seed(seed)) * 255
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear").to(torch.uint8)


def changed(images, draws=None, views=None, **options):
    out = images.clone()
    draws = np.arange(len(images)) if draws is None else np.asarray(draws)
    Augmentation(**{"probability": 1.0, **options})(out, draws, np.zeros_like(draws) if views is None else views)
    return out


def close(one, other, tolerance):
    return (one.int() - other.int()).abs().max().item() <= tolerance


def test_jpeg_keeps_smooth_images():
    image = smooth(1)[0].permute(1, 2, 0).numpy()
    assert np.abs(decode_jpeg(encode_jpeg(image)).astype(int) - image).max() <= 10


def test_decoding_into_a_buffer_is_decoding():
    image = smooth(1)[0].permute(1, 2, 0).numpy()
    out = np.zeros((2, 32, 32, 3), np.uint8)
    decode_jpeg(encode_jpeg(image), out[1])
    assert np.array_equal(out[1], decode_jpeg(encode_jpeg(image))) and not out[0].any()


@pytest.mark.parametrize("cut", [2, 100, -40])
def test_a_cut_file_is_corrupt(cut):
    data = encode_jpeg(smooth(1)[0].permute(1, 2, 0).numpy())
    with pytest.raises(ValueError, match="the JPEG is corrupt"):
        decode_jpeg(data[:cut], np.zeros((32, 32, 3), np.uint8))


def test_an_image_changes_as_its_draw_and_view_say_whatever_its_neighbours_are():
    images, draws, views = smooth(6), np.array([5, 6, 7, 5, 5, 9]), np.array([0, 0, 0, 1, 0, 2])
    whole = changed(images, draws, views, probability=0.7, shift_px=2)
    order = np.array([3, 0, 5, 1])
    assert torch.equal(changed(images[order], draws[order], views[order], probability=0.7, shift_px=2), whole[order])
    same = changed(images[:1].repeat(2, 1, 1, 1), [5, 5], np.array([0, 1]))
    assert not torch.equal(same[0], same[1])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_memory_order_changes_nothing(layout):
    images = smooth().to(memory_format=layout)
    assert torch.equal(changed(images, shift_px=3), changed(smooth(), shift_px=3))


def test_the_share_of_changed_images_is_the_probability():
    images = smooth(1).expand(400, 3, 32, 32)
    differs = (changed(images, probability=0.25) != images).flatten(1).any(dim=1).float().mean().item()
    assert 0.15 < differs < 0.35
    assert torch.equal(changed(images, probability=0.0), images)


def test_without_strength_nothing_changes():
    images = smooth()
    assert torch.equal(changed(images, **STILL), images)


def test_shifts_move_whole_pixels_and_repeat_edges():
    images = smooth(200, size=12)
    moved, seen = changed(images, **STILL, shift_px=2), set()
    padded = torch.nn.functional.pad(images.float(), (2, 2, 2, 2), mode="replicate").to(torch.uint8)
    for before, after in zip(padded, moved, strict=True):
        found = [
            (dy, dx) for dy in range(5) for dx in range(5) if torch.equal(before[:, dy : dy + 12, dx : dx + 12], after)
        ]
        assert len(found) == 1
        seen.add(found[0])
    assert len(seen) == 25


@pytest.mark.parametrize(("dice", "degrees"), [(1.0, 20.0), (0.0, -20.0), (0.5, 0.0)])
def test_rotation_is_a_rotation(dice, degrees):
    images = smooth(8).float()
    maps = Augmentation(scale=(1.0, 1.0), rotation_deg=20.0)._affine(np.full((8, 5), dice), 1.0)
    expected = tv.rotate(images, degrees, interpolation=tv.InterpolationMode.BILINEAR)
    torch.testing.assert_close(_resampled(images, maps), expected, rtol=0, atol=0.02)


@pytest.mark.parametrize("aspect", [1.0, 1.5])
def test_crops_stay_inside_and_have_the_area_asked_for(aspect):
    dice = np.random.default_rng(0).uniform(size=(300, 5))
    maps = Augmentation(scale=(0.6, 0.9), rotation_deg=0.0)._affine(dice, aspect).double().numpy()
    width, height = maps[:, 0, 0], maps[:, 1, 1]
    assert ((width * height > 0.6 - 1e-6) & (width * height < 0.9 + 1e-6)).all()
    assert (np.abs(maps[:, 0, 2]) <= 1 - width + 1e-6).all() and (np.abs(maps[:, 1, 2]) <= 1 - height + 1e-6).all()
    ratio = width / height
    assert ratio.max() <= 4 / 3 + 1e-6 and ratio.min() >= 3 / 4 - 1e-6 and ratio.max() > 1.15 > 0.87 > ratio.min()


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("brightness", lambda image, factor: tv.adjust_brightness(image, factor)),
        ("contrast", lambda image, factor: tv.adjust_contrast(image, factor)),
        ("saturation", lambda image, factor: tv.adjust_saturation(image, factor)),
    ],
)
def test_colours_change_as_torchvision_changes_them(name, reference):
    images = 64 + smooth(20) // 2
    ours = changed(images, **{**STILL, name: 0.3})
    for before, after in zip(images, ours, strict=True):
        assert any(close(reference(before, factor), after, 2) for factor in np.linspace(0.7, 1.3, 241))
    assert not torch.equal(ours, images)


def test_hue_turns_colours_and_keeps_brightness():
    images = 96 + smooth(20) // 4
    ours = changed(images, **{**STILL, "hue": 0.3})
    luma = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    assert ((ours * luma).sum(1) - (images * luma).sum(1)).abs().max() < 1.5
    assert not close(ours, images, 10)


@pytest.mark.parametrize(
    "options", [{"probability": 1.5}, {"scale": (0.9, 0.5)}, {"scale": (0.0, 1.0)}, {"hue": 0.7}, {"shift_px": -1}]
)
def test_impossible_strengths_are_refused(options):
    with pytest.raises(ValueError, match="got Augmentation"):
        Augmentation(**options)


def test_no_images_are_no_trouble():
    changed(torch.empty(0, 3, 8, 8, dtype=torch.uint8), draws=np.empty(0, dtype=np.int64))
