"""What `probe` prints, with real parts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from memtriggers.pipelines.cli import cli
from memtriggers.pipelines.core.study import Study


@pytest.fixture
def make_generating(
    tmp_path: Path,
    write_laion: Callable[..., Path],
    make_study: Callable[..., Study],
    tiny_clip: Path,
    tiny_diffusion: Path,
    draw: Callable[..., bytes],
    one_thread: None,
) -> Callable[[], Study]:
    """Two clusters of the same picture under several captions, and a tiny generator."""

    def make() -> Study:
        (tmp_path / "images").mkdir()
        rows = []
        for number in range(12):
            (tmp_path / "images" / f"{number}.png").write_bytes(draw(number // 6, side=32))
            words = ("starry night", "almond blossom")[number // 6]
            rows.append({"URL": f"{number}.png", "TEXT": f"star {words} {number}"})
        write_laion(*rows)
        sections = (
            f'[clip]\nmodel = "{tiny_clip}"\n[cluster]\nthresholds = [0.9999]\n'
            '[prompts]\nfamilies = ["keywords", "short"]\n'
            f'[generator]\nmodel = "{tiny_diffusion}"\nsteps = 2\nwidth = 32\nheight = 32\n'
            "n_seeds = 3\n[score]\nprobe_seeds = 2\n"
        )
        return make_study(
            data='image_root = "images"', sections=sections, star={"include": ["star"]}
        )

    return make


def test_probe_prints_tokens_and_words(
    make_generating: Callable[[], Study], tmp_path: Path
) -> None:
    make_generating()
    arguments = ["probe", "starry night", "--study", str(tmp_path / "study.toml")]
    result = CliRunner().invoke(cli, [*arguments, "--json"], catch_exceptions=False)
    probed: dict[str, Any] = json.loads(result.stdout)
    assert [token["kind"] for token in probed["tokens"]] == [
        *("begin", "word", "word", "end", "padding")
    ]
    assert [word["word"] for word in probed["words"]] == ["starry", "night"]
    printed = CliRunner().invoke(cli, arguments, catch_exceptions=False).stdout
    assert f"magnitude {probed['magnitude']:.4f}" in printed
    assert "73 together" in printed
    hostile = ["probe", "\x1b[31mcafé\x07 [bold]\u202enight", *arguments[2:]]
    printed = CliRunner().invoke(cli, hostile, catch_exceptions=False).stdout
    assert "\x1b" not in printed and "\x07" not in printed
    assert r"\x1b[31mcafé\x07" in printed and r"[bold]\u202enight" in printed
