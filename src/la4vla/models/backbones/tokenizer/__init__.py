"""The small byte-level tokenizer of the tiny backbones, and the script that made it."""
