"""What the documentation prints can be built as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from la4vla.models.backbones import internvl3

ROOT = Path(__file__).parents[2]


def test_the_printed_overlay_over_the_tiny_backbone_leaves_published_weights_as_they_are(monkeypatch):
    page = (ROOT / "docs" / "model_zoo.md").read_text()
    printed = yaml.safe_load(page.split("## Another backbone by recipe")[1].split("```yaml\n")[1].split("```")[0])
    tiny = yaml.safe_load((ROOT / "recipes" / "parts" / "backbones" / "internvl3_tiny.yaml").read_text())
    overlay = printed["model"]["backbone"]
    assert overlay["class_path"] == tiny["class_path"] == "InternVL3"

    class Reached(Exception):
        pass

    def published(weights: str, language_layers: int) -> None:
        raise Reached(weights, language_layers)

    monkeypatch.setattr(internvl3, "published", published)
    with pytest.raises(Reached) as asked:
        internvl3.InternVL3(**{**tiny["init_args"], **overlay["init_args"]})
    assert asked.value.args == ("weights/internvl3_2b_hf", 20)
