"""Hostile pictures cost the row that they are of: never the memory, the hours or the others."""

import io
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from memtriggers.pipelines.core.cores import count_cores
from memtriggers.pipelines.core.errors import StageError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Fetch, Study
from memtriggers.pipelines.images.decode import image_limits, store_image
from memtriggers.pipelines.images.decoders import Decoders, start_decoders
from memtriggers.pipelines.images.rows import Refused

CASES = Path(__file__).parents[2] / "cases" / "images"
BOMB = (CASES / "webp_10000.webp").read_bytes()
SCANS = (CASES / "jpeg_scans_100.jpg").read_bytes()
MB = 1_000_000
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="limits the memory as Linux does")


def slow_jpeg() -> bytes:
    """Minutes of decoding: the scans of the handed one, again and again."""
    first = SCANS.index(b"\xff\xda")
    second = SCANS.index(b"\xff\xda", first + 2)
    return SCANS[:second] + SCANS[second:-2] * 200 + SCANS[-2:]


def encode(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def smooth(side: int) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)


KINDS: dict[str, dict[str, Any]] = {
    **{kind: {} for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "PPM", "JPEG2000")},
    "AVIF": {"speed": 10},
    "TIFF": {"compression": "tiff_lzw"},
}


def status_of(decoders: Decoders, data: bytes) -> str:
    try:
        decoders.store(data)
    except Refused as refused:
        return refused.status
    return "ok"


@pytest.fixture
def one() -> Iterator[Decoders]:
    with start_decoders(Fetch(), 1) as decoders:
        yield decoders


def pid_of(decoders: Decoders) -> int:
    return decoders._children[0]._process.pid


def test_a_child_stores_what_this_process_would(one: Decoders) -> None:
    with image_limits(Fetch().max_pixels):
        for kind, options in KINDS.items():
            data = encode(smooth(400), kind, **options)
            assert one.store(data) == store_image(data, Fetch())


def test_refusals_and_settings_are_those_of_the_study(png_of: Callable[[int, int], bytes]) -> None:
    with start_decoders(Fetch(max_pixels=100_000, short_side=64), 1) as decoders:
        with pytest.raises(Refused) as refused:
            decoders.store(png_of(400, 300))
        assert refused.value.status == "too_many_pixels" and "100,000" in refused.value.reason
        assert [status_of(decoders, data) for data in (b"", b"text")] == ["empty", "not_an_image"]
        assert status_of(decoders, encode(smooth(90), "JPEG")[:-99]) == "truncated"
        assert decoders.store(png_of(304, 304)).width == 64


def test_children_import_what_decoding_needs_and_little_else() -> None:
    names = "torch", "aiohttp", "numpy", "duckdb", "pyarrow", "lancedb", "dask", "pillow_heif"
    code = (
        "import sys, memtriggers.pipelines.images.decoder\n"
        f"sys.exit(' '.join(name for name in {names} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == ""


def test_the_memory_is_divided_among_few_enough() -> None:
    for memory, asked, number in ((Fetch().decode_memory, 2, 2), (100 * MB, 8, 1), (16 * MB, 1, 1)):
        with start_decoders(Fetch(decode_memory=memory), asked) as decoders:
            assert decoders.number == number


# Its threads and children are those of this process alone.
DECODE_BOMBS = """
import resource, sys, threading, psutil
from concurrent.futures import ThreadPoolExecutor
from memtriggers.pipelines.core.study import Fetch
from memtriggers.pipelines.images.decoders import start_decoders
from memtriggers.pipelines.images.rows import Refused

bomb, good = (open(name, "rb").read() for name in sys.argv[1:])
done, most = threading.Event(), 0

def watch():
    global most
    while not done.wait(0.002):
        children = psutil.Process().children()
        most = max(most, sum(child.memory_info().rss for child in children))

def store(data):
    try:
        return f"ok {decoders.store(data).width}"
    except Refused as refused:
        return f"{refused.status} {refused.reason}"

with start_decoders(Fetch()) as decoders, ThreadPoolExecutor() as threads:
    watcher = threading.Thread(target=watch)
    watcher.start()
    print(*threads.map(store, 8 * [bomb, good]), sep="\\n")
    done.set()
    watcher.join()
    own = 60e6 * decoders.number
print(most < 1e9 + own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 1e6 + 60e3)
"""


@ON_LINUX
def test_many_bombs_keep_within_the_memory_and_cost_good_pictures_nothing(tmp_path: Path) -> None:
    good = tmp_path / "good.jpg"
    good.write_bytes(encode(smooth(640), "JPEG"))
    command = [sys.executable, "-c", DECODE_BOMBS, CASES / "webp_10000.webp", good]
    done = subprocess.run(command, capture_output=True, text=True)
    *rows, bounded = done.stdout.splitlines()
    why = "decoding it takes more than decode_memory in [fetch], 1,000,000,000 bytes"
    assert Counter(rows) == {f"too_large_for_memory {why}": 8, "ok 256": 8}, done.stderr
    assert bounded == "True True"


@ON_LINUX
def test_what_does_not_fit_into_a_share_is_decoded_alone() -> None:
    large, small = encode(smooth(3000), "WEBP"), encode(smooth(90), "JPEG")
    with start_decoders(Fetch(decode_memory=200 * MB), 1) as decoders:
        stored = decoders.store(large)
        with pytest.raises(Refused, match="too_large"):
            decoders._children[0].store(large, 100 * MB)
    with start_decoders(Fetch(decode_memory=200 * MB), 2) as decoders, ThreadPoolExecutor(4) as of:
        assert decoders.number == 2
        found = list(of.map(decoders.store, 6 * [large, small]))
    assert found[::2] == 6 * [stored] and {one.width for one in found[1::2]} == {90}


@ON_LINUX
@pytest.mark.parametrize("kind", KINDS)
def test_a_good_picture_is_damaged_under_no_limit(kind: str) -> None:
    data = encode(smooth(1500), kind, **KINDS[kind])
    found = []
    for memory in (16 * MB, 20 * MB, 24 * MB, 32 * MB, 40 * MB, 56 * MB, 150 * MB):
        with start_decoders(Fetch(decode_memory=memory), 1) as decoders:
            found.append(status_of(decoders, data))
    assert set(found) <= {"ok", "too_large_for_memory"} and found[-1] == "ok"


def test_a_file_larger_than_the_memory_is_not_decoded() -> None:
    why = r"larger than decode_memory in \[fetch\], 16,000,000"
    with start_decoders(Fetch(decode_memory=16 * MB), 1) as one, pytest.raises(Refused, match=why):
        one.store(bytes(17 * MB))


def test_decoding_ends_in_time_and_the_next_picture_has_its_own() -> None:
    good = encode(smooth(90), "JPEG")
    with start_decoders(Fetch(decode_timeout=0.5), 1) as decoders:
        for _ in range(2):
            with pytest.raises(Refused) as refused:
                decoders.store(slow_jpeg())
            assert (refused.value.status, refused.value.reason) == ("decode_timeout", "after 0.5 s")
            assert decoders.store(good).width == 90
    with start_decoders(Fetch(decode_timeout=60.0), 1) as decoders:
        assert decoders.store(SCANS).width == 256


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_child_that_is_ended_in_its_work_costs_one_row(ended_by: signal.Signals) -> None:
    good = encode(smooth(90), "JPEG")
    with ThreadPoolExecutor(2) as threads, start_decoders(Fetch(), 2) as decoders:
        (first, second) = (threads.submit(decoders.store, slow_jpeg()) for _ in range(2))
        busy = psutil.Process(pid_of(decoders))
        while busy.cpu_times().user < 0.5:  # its imports take less
            pass
        busy.send_signal(ended_by)
        while not (first.done() or second.done()):
            pass
        refused = (first if first.done() else second).exception()
        assert isinstance(refused, Refused) and refused.status == "crashed"
        assert refused.reason == f"the process that decoded it ended by {ended_by.name}"
        assert [threads.submit(decoders.store, good).result().width for _ in range(4)] == 4 * [90]
        assert not (first.done() and second.done())


def test_what_libraries_print_comes_between_no_answers(one: Decoders) -> None:
    """libtiff writes of this one on stderr."""
    odd = bytearray(encode(smooth(300), "TIFF", compression="tiff_lzw"))
    odd[200:260] = bytes(60)
    good = encode(smooth(300), "TIFF", compression="tiff_lzw")
    for _ in range(3):
        assert status_of(one, bytes(odd)) in ("damaged", "ok")
        assert one.store(good).width == 256


def test_a_child_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with start_decoders(Fetch(), 1) as decoders, pytest.raises(StageError, match="does not start"):
        decoders.store(BOMB)


DECODE_FOR_EVER = """
import sys
from memtriggers.pipelines.core.study import Fetch
from memtriggers.pipelines.images.decoders import start_decoders

with start_decoders(Fetch(decode_timeout=3600.0), 1) as decoders:
    print(decoders._children[0]._process.pid, flush=True)
    decoders.store(sys.stdin.buffer.read())
"""


def wait_until_busy(process: psutil.Process) -> None:
    while process.cpu_times().user < 0.5:
        assert process.is_running()


def test_a_child_does_not_outlive_a_parent_that_is_killed() -> None:
    command = [sys.executable, "-c", DECODE_FOR_EVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin is not None and parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.stdin.write(slow_jpeg())
        parent.stdin.close()
        wait_until_busy(child)
        parent.kill()
    assert psutil.wait_procs([child], timeout=10)[1] == []


# Tests that run in the background have Ctrl-C ignored, and hand that down.
FETCH = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from memtriggers.pipelines.cli import main
sys.argv[1:] = ["fetch"]
main()
"""


def test_ctrl_c_ends_fetch_and_all_of_its_children_at_once(
    tmp_path: Path,
    lake: Lake,
    make_study: Callable[..., Study],
    write_samples: Callable[..., list[str]],
) -> None:
    for n in range(count_cores()):
        (tmp_path / f"{n}.jpg").write_bytes(slow_jpeg() + bytes([n]))
    write_samples(*({"url": f"{n}.jpg"} for n in range(count_cores())))
    make_study(data='image_root = "."', sections="[fetch]\ndecode_timeout = 3600.0")
    command = [sys.executable, "-c", FETCH]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as fetch:
        children: list[psutil.Process] = []
        while len(children) < count_cores():
            assert fetch.poll() is None, fetch.communicate()
            children = psutil.Process(fetch.pid).children()
        for child in children:
            wait_until_busy(child)
        os.kill(fetch.pid, signal.SIGINT)
        _, said = fetch.communicate(timeout=60)
    assert fetch.returncode == 130 and "Traceback" not in said
    assert psutil.wait_procs(children, timeout=10)[1] == []
