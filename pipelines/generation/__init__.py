"""The parts of `prompts` and `generate`: texts and their neighbours, the model, its workers."""
