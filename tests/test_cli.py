"""The grammar shared by all verbs."""

from dataclasses import dataclass

import pytest

from la4vla.cli import RecipeGrammar, as_option, files_of, settings_of, without_secrets
from la4vla.parser_errors import one_sentence


@dataclass
class Camera:
    fps: int = 10
    name: str = "wrist"


@pytest.fixture
def parser():
    parser = RecipeGrammar(prog="python -m la4vla.test")
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(Camera, "camera")
    parser.add_argument("--max_steps", type=int, default=1)
    return parser


def test_words_become_options():
    assert as_option("a/b.yaml") == "--config=a/b.yaml"
    assert as_option("camera.fps=3") == "--camera.fps=3"
    assert as_option("trainer.callbacks+=X") == "--trainer.callbacks+=X"
    assert as_option("after=la.yaml") == "--after=la.yaml"
    words = ["a.yaml", "b.yaml", "after=c.yaml", "x=1"]
    assert files_of(words) == ["a.yaml", "b.yaml"]
    assert settings_of(words) == ["after=c.yaml", "x=1"]


def test_later_words_win(parser, tmp_path):
    (tmp_path / "a.yaml").write_text("camera: {fps: 1, name: base}\n")
    (tmp_path / "b.yaml").write_text("camera: {fps: 2}\n")
    config = parser.parse_args([str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"), "max_steps=7"])
    assert (config.camera.fps, config.camera.name, config.max_steps) == (2, "base", 7)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["max_step=5"], "Did you mean 'max_steps'?"),
        (["camera.fsp=5"], "Did you mean 'camera.fps'?"),
        (["camera.fps=fast"], "camera.fps"),
        (["missing.yaml"], "missing.yaml"),
    ],
)
def test_bad_words_fail_with_a_sentence(parser, capsys, words, said):
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(words)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("usage: python -m la4vla.test RECIPE.yaml")


def test_unknown_key_in_a_file_offers_the_closest(parser, capsys, tmp_path):
    (tmp_path / "a.yaml").write_text("camera: {fpss: 1}\n")
    with pytest.raises(SystemExit):
        parser.parse_args([str(tmp_path / "a.yaml")])
    assert "Did you mean 'camera.fps'?" in capsys.readouterr().err


def test_help_explains_every_key_as_it_is_typed(parser, capsys):
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(["--help"])
    assert stop.value.code == 0
    told = capsys.readouterr().out
    assert told.startswith("usage: python -m la4vla.test RECIPE.yaml [OVERLAY.yaml ...] [key=value ...]")
    for line in ("  camera.fps=VALUE  (int; default 10)", "  camera.name=VALUE  (str; default wrist)"):
        assert line in told.splitlines()
    assert "--" not in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("'https://me:hunter2@host/v1'", "'https://me:[hidden]@host/v1'"),
        ("https://:p@ss:1@host:8000/v1", "https://:[hidden]@host:8000/v1"),
        ("'https://host/v1?a=1&api-key=hunter2&b=2'", "'https://host/v1?a=1&api-key=[hidden]&b=2'"),
        ("{'api_key_env': 'sk-hunter2', 'model': 'm'}", "{'api_key_env': '[hidden]', 'model': 'm'}"),
        ("Endpoint(api_key='hunter2', model='m')", "Endpoint(api_key='[hidden]', model='m')"),
        *[
            (kept, kept)
            for kept in (
                "https://me:${PASSWORD}@host:80/v1?key=${KEY}",
                "{'api_key_env': 'PROVIDER_KEY'}",
                "max_tokens: 'many'",
                "tokenizer: 'folder'",
                "see http://host:8010/#anna, anna@host",
            )
        ],
    ],
)
def test_secrets_are_not_repeated(text, told):
    assert without_secrets(text) == told


def test_the_parsers_own_words_hold_no_password(parser, capsys):
    with pytest.raises(SystemExit):
        parser.parse_args(["trainer.max_steps=https://me:hunter2@host"])
    said = capsys.readouterr().err
    assert "hunter2" not in said and "https://me:[hidden]@host" in said


UNION = """Parser key "segmenter":
  Does not validate against any of the Union subtypes
  Subtypes: [<class 'la4vla.construction.segmenters.base.Segmenter'>, <class 'NoneType'>]
  Errors:
    - {fault}
    - Expected a <class 'NoneType'>
  Given value type: <class 'jsonargparse._util.NestedArg'>
  Given value: NestedArg(key='class_path', val='x')"""


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (
            "Expected a dot import path string: RecipeGramar",
            "segmenter: there is no class RecipeGramar; give a known one or the whole path of its import. "
            "Did you mean 'RecipeGrammar'?",
        ),
        (
            "Problem with given class_path 'la4vla.cli.RecipeGramar':\n      module 'la4vla.cli' has no attribute "
            "'RecipeGramar'",
            "segmenter: RecipeGramar: la4vla.cli has no class RecipeGramar. Did you mean 'RecipeGrammar'?",
        ),
        (
            "Problem with given class_path 'la4vla.KinematicSegmenter':\n        Option 'command_mm' is not accepted "
            "Did you mean 'command_m'?",
            "segmenter: KinematicSegmenter: Option 'command_mm' is not accepted Did you mean 'command_m'?",
        ),
    ],
)
def test_what_the_parser_tells_over_many_lines_is_one_sentence(fault, sentence):
    assert one_sentence(UNION.format(fault=fault)) == sentence


def test_a_null_that_stands_for_a_part_is_told():
    message = 'Parser key "exports":\n  Not a valid subclass of Export. Got value: None\n  Subclass types expect'
    assert one_sentence(message) == "exports: null is no Export; leave out what is not wanted."
    assert one_sentence("trainer.max_steps: not a number") == "trainer.max_steps: not a number"
