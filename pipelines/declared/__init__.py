"""What each stage declares: the inputs that no stage writes, and the options of its command."""
