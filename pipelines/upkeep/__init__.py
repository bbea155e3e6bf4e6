"""What keeps a lake up to date and says how it stands, at night as well."""
