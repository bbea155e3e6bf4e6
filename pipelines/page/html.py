"""HTML documents from the templates beside: whatever goes into one is escaped."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).resolve().parent / "templates"


def render_template(name: str, filters: dict[str, Any], **values: Any) -> str:
    """The document that a template makes of the values; raises for one that it lacks."""
    return templates_of(TEMPLATES, filters).get_template(name).render(**values)


def templates_of(folder: Path, filters: dict[str, Any]) -> Environment:
    """The templates of a folder, which escape what goes into them and miss nothing silently."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment
