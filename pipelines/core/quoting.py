"""Names and texts quoted for SQL, where they cannot be bound."""


def identifier(name: str) -> str:
    """A name, quoted for SQL: the one thing that cannot be bound."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text, quoted for the few statements that take no bound values (COPY, ATTACH)."""
    return "'" + text.replace("'", "''") + "'"
