"""Everything that is wrong with real data, in one study, from the parquet to the report."""

import io
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from PIL import Image

from memtriggers.pipelines.core.study import Study
from memtriggers.tests import warm

SCRIPT = "<script>alert(1)</script> star"
CAPTIONS: dict[str, str | None] = {
    "script": SCRIPT,
    "entities": "&quot;Keep Calm&quot; <i>star</i>",
    "emoji": "star 👩‍👩‍👧 🎨",
    "right-to-left": "שלום עולם star",
    "long": "star " * 12_238 + "ab",  # 61,192 characters
    "null": None,
    "blank": " \u00a0",
}
IMAGES = {
    "good": "ok",
    "truncated": "truncated",
    "empty": "empty",
    "text": "not_an_image",
    "huge": "too_many_pixels",
    "missing": "not_found",
}


def png(side: int = 64) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((side, side), 50).save(file, "PNG")
    return file.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    """A small file whose header says that it is a large image."""
    content = bytearray(png())
    header = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + content[24:29]
    content[12:29] = header
    content[29:33] = zlib.crc32(header).to_bytes(4, "big")
    return bytes(content)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return {
        "good": png(),
        "truncated": png()[:1500],
        "empty": b"",
        "text": b"404 not found",
        "huge": png_that_claims(20_000, 20_000),
    }


@pytest.fixture
def published(
    tmp_path: Path,
    files: dict[str, bytes],
    write_laion: Callable[..., Path],
    make_study: Callable[..., Study],
    cluster: str,
) -> duckdb.DuckDBPyConnection:
    """The tables of a refresh over a row for each defect."""
    (tmp_path / "images").mkdir()
    for name, content in files.items():
        (tmp_path / "images" / f"{name}.png").write_bytes(content)
    rows: list[dict[str, Any]] = [
        {"URL": f"{image}.png", "TEXT": f"star {image}"} for image in IMAGES
    ]
    rows += [{"URL": "good.png", "TEXT": caption} for caption in CAPTIONS.values()]
    rows += [{"URL": "../../etc/passwd", "TEXT": "star outside"}]
    write_laion(*rows)
    make_study(data='image_root = "images"', all={"include": ["*"]}, none={"include": ["nil"]})
    command = warm.command("memtriggers", "refresh", "--scheduler", cluster)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 4, done.stderr
    assert "; warning: fetch: 6 of 11 samples have no image (" in done.stdout
    assert "Traceback" not in done.stderr
    assert "keyword set 'none' matches no caption" in done.stderr
    return duckdb.connect(str(tmp_path / "lake" / "current.duckdb"), read_only=True)


def test_each_row_is_embedded_or_says_why_not(
    published: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    with published:
        by_image = published.execute(
            "select url, coalesce(image_status, 'none') from samples where caption like 'star %' "
            "and url not like '%passwd' and status != 'rejected'"
        ).fetchall()
        assert {(f"{name}.png", status) for name, status in IMAGES.items()} <= set(by_image)
        (outside,) = published.execute(
            "select status || ' ' || image_status from samples where url like '%passwd'"
        ).fetchone() or ("",)
        assert outside == "fetch_failed invalid_path"
        by_caption = dict(
            published.execute(
                "select caption, status from samples where url = 'good.png'"
            ).fetchall()
        )
        long, null, blank = (CAPTIONS[name] for name in ("long", "null", "blank"))
        whole = {CAPTIONS[name] for name in ("script", "entities", "emoji", "right-to-left")}
        assert by_caption == {
            "star good": "embedded",
            **dict.fromkeys(whole, "embedded"),
            **dict.fromkeys((long, null, blank), "rejected"),
        }
        silent = published.execute(
            "select count(*) from samples where status != 'embedded' and status_reason is null"
        ).fetchone()
        assert silent == (0,)
        assert published.execute("select count(*) from samples").fetchone() == (14,)
        none = "select n_samples from keyword_sets where keyword_set = 'none'"
        assert published.execute(none).fetchone() == (0,)
    report = (tmp_path / "lake" / "report" / "index.html").read_text("utf-8")
    assert "<script>alert" not in report
    assert "&lt;script&gt;alert(1)&lt;/script&gt; star" in report
