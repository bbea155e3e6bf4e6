"""What keeps a lake up to date and says how it stands: refresh, status, nightly runs, doctor, init."""
