"""Trains the packaged tokenizer: ``python -m la4vla.models.backbones.tokenizer.train FOLDER``.

A byte-level BPE, so any UTF-8 text survives a round trip; the corpus only decides which words are short. It is trained
on robot English (``corpus.txt``) and holds the special tokens under the names InternVL3 gives them. The same corpus
gives the same file, byte for byte.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = Path(__file__).parent
ENTRIES = 1024
PAD = "<|endoftext|>"
SPECIAL = (PAD, "<img>", "</img>", "<IMG_CONTEXT>")
# One token per wrapper word instead of five: beside sixteen words of instruction they would be a third of the text.
WRAPPERS = tuple(f"Image-{view}: " for view in range(1, 9))


def train() -> Tokenizer:
    """The tokenizer, trained on the corpus beside this file."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=ENTRIES - len(WRAPPERS),
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    tokenizer.add_tokens([AddedToken(wrapper, normalized=False) for wrapper in WRAPPERS])
    return tokenizer


def _corpus() -> list[str]:
    """Every line as written and in lower case, and its verb, which stands first and without a space, once more each."""
    lines = (HERE / "corpus.txt").read_text(encoding="utf-8").splitlines()
    written = [variant for line in lines for variant in (line, line.lower(), f" {line.lower()}")]
    return written + [word for line in written for word in line.split(" ")[:1] * 2]


def write(folder: Path) -> None:
    """Writes ``tokenizer.json`` and ``tokenizer_config.json`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    train().save(str(folder / "tokenizer.json"), pretty=False)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PAD,
        "padding_side": "right",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 32768,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
