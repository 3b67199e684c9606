"""Leaving out what cannot be seen changes no picture."""

from dataclasses import replace

import numpy as np
import pytest

from la4vla.simulators import camera, metaworld
from la4vla.simulators.frustum import outside


@pytest.mark.parametrize("view", ["tabletop_hand_64", "tabletop_hand_96", "tabletop_64", "tabletop_96"])
def test_pictures_stay_as_they_are(monkeypatch, view):
    environment = metaworld.MetaworldEnvironment("box-close", metaworld.VIEWS[view])
    expert = metaworld.MetaworldExpert("box-close")
    environment.reset(2)
    left_out = []

    def watched(*arguments):
        left_out.append(outside(*arguments))
        return left_out[-1]

    for _ in range(3):
        for _ in range(15):
            environment.step(expert.act(environment.privileged), look=False)
        monkeypatch.setattr(camera, "outside", watched)
        culled = environment.look().images
        monkeypatch.setattr(camera, "outside", lambda model, *_: np.zeros(model.ngeom, dtype=bool))
        whole = environment.look().images
        for name in whole:
            np.testing.assert_array_equal(culled[name], whole[name])
    environment.close()
    assert min(hidden.sum() for hidden in left_out) > 0


def test_shadows_of_what_is_outside_stay(monkeypatch):
    monkeypatch.setattr(camera, "outside", lambda *_: pytest.fail("asked under shadows"))
    view = replace(metaworld.VIEWS["evo1_64"], shadows=True)
    environment = metaworld.MetaworldEnvironment("reach", view)
    assert environment.reset(1).images
    environment.close()
