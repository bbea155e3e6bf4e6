"""The parts of `score`: how near generations come to the training images, and what that means."""
