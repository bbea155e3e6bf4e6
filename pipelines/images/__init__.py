"""Images: where they come from, what is kept of them, and small pictures of them."""
