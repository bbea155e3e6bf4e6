"""The CLIP model and the descriptor of copies: found, loaded, and run in workers."""
