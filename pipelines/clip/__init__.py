"""The CLIP model: found, loaded, and run in workers."""
