"""Construction of language-action data, in the order of the paper's section 4."""
