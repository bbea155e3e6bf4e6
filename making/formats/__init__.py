"""Makes tests/formats: the same twelve pictures and captions as other people's tools write them."""
