"""The data card says what a folder of sets holds, from manifests alone, and equally for equal sets."""

from __future__ import annotations

import shutil
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
import yaml
from PIL import Image

from la4vla.construct import main
from la4vla.construction.data_card import write_data_card
from la4vla.data.composition import Composition
from la4vla.data.manifest import Manifest
from la4vla.data.shards import Shards


@pytest.fixture
def built(moving_card, tmp_path) -> Path:
    main([str(moving_card), "reader.init_args.episodes=6", "license=cc-by-4.0"])
    return tmp_path / "moving"


def manifests(folder: Path) -> dict[str, Manifest]:
    return {name: Manifest.read(folder / name) for name in ("la", "vla")}


def test_a_build_writes_its_card(built):
    text = (built / "README.md").read_text()
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["license"] == "cc-by-4.0" and front["task_categories"] == ["robotics"]
    assert "| original episodes | 6 | 492 | 82.00 |" in text and "| consistent segments | 30 |" in text
    assert "| grasp | object manipulation | 6 | 20.0 % |" in text
    assert f"`{Manifest.read(built / 'la').content_hash}`" in text
    assert "| `x_m` |" in text and "20 steps per second" in text and "## View: tiny" in text
    assert "`opening`: 1 is open, 0 closed" in text
    assert yaml.safe_load(text.split("```yaml\n")[-1].split("```")[0])["reader"]["init_args"]["episodes"] == 6
    assert "Nothing was dropped." in text and "license" not in Manifest.read(built / "la").card
    assert text.count("![") == 1 and "(composition_la.png)" in text
    assert Image.open(BytesIO((built / "composition_la.png").read_bytes())).size[0] > 1000


def test_no_frame_is_looked_at_and_equal_sets_give_equal_cards(built, monkeypatch):
    files = {p.name: p.read_bytes() for p in built.iterdir() if p.is_file()}
    for path in built.iterdir():
        if path.is_file():
            path.unlink()
    monkeypatch.setattr(Shards, "__init__", lambda *_: pytest.fail("the tars were opened"))
    write_data_card(built, manifests(built), "cc-by-4.0")
    assert files == {p.name: p.read_bytes() for p in built.iterdir() if p.is_file()}


def test_a_card_that_would_not_change_is_left_alone(built):
    before = (built / "README.md").stat().st_mtime_ns
    write_data_card(built, manifests(built), "cc-by-4.0")
    assert (built / "README.md").stat().st_mtime_ns == before
    write_data_card(built, manifests(built), None)
    text = (built / "README.md").read_text()
    assert "Not stated. Whoever passes this data on" in text and "license: cc" not in text


def test_a_set_without_composition_is_counted_anew(built):
    known = manifests(built)
    text = (built / "README.md").read_text()
    write_data_card(built, {n: replace(m, composition=Composition()) for n, m in known.items()}, "cc-by-4.0")
    assert (built / "README.md").read_text() == text


def test_what_was_left_out_is_told_and_a_stale_picture_goes(built):
    known = manifests(built)
    sentences = [f"Episode e{i} is left out (missing video): none." for i in range(7)]
    la = replace(known["la"], dropped={"missing video": 7}, unusable=sentences)
    write_data_card(built, {"la": la}, None)
    text = (built / "README.md").read_text()
    assert "| missing video | 7 |" in text and "could not be used: 7. Of the others, 2, the manifests tell." in text
    assert sentences[4] in text and sentences[5] not in text
    vla = replace(known["vla"], composition=replace(known["vla"].composition, primitives={}))
    shutil.copy(built / "composition_la.png", built / "composition_mine.png")
    write_data_card(built, {"vla": vla}, None)
    assert sorted(p.name for p in built.glob("*.png")) == ["composition_mine.png", "composition_vla.png"]


def test_somebody_elses_readme_stays(built, moving_card, capsys):
    (built / "README.md").write_text("# Mine\n")
    capsys.readouterr()
    main([str(moving_card), "reader.init_args.episodes=6"])
    assert (built / "README.md").read_text() == "# Mine\n"
    assert "Language-action data" in (built / "DATA_CARD.md").read_text()
    assert f"data card: {built / 'DATA_CARD.md'}, because README.md there is not of la4vla" in capsys.readouterr().out
