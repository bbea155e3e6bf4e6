"""How well a model tells copies from other pictures: what `evaluate` measures, and on what."""
