"""Vision-language backbones: a batch in, tokens out."""
