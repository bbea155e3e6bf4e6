"""Ways to ask a lake: SQL, its shell and examples, search, exports, and a prompt that is probed."""
