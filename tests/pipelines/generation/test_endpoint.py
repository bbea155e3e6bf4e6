"""Prompts by a language model: a local server that answers well, badly, late and with malice."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from memtriggers.pipelines.core.errors import StageError, StudyError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.generation import endpoint
from memtriggers.pipelines.generation.endpoint import ask_endpoint
from memtriggers.pipelines.generation.texts import PromptCluster

KEY = "sk-secret-of-the-tests"
CLUSTER = PromptCluster("star", "0f" * 16, 9, ["starry", "night"], ["night"])


def completion(text: Any) -> bytes:
    return json.dumps({"choices": [{"message": {"content": text}}]}).encode()


@dataclass
class Server:
    """Answers every request with `status`, `headers` and `body`, and keeps what it was asked."""

    status: int = 200
    body: bytes = completion("a night full of stars")
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)  # answers wait for it
    address: str = ""

    def __post_init__(self) -> None:
        self.hold.set()


@pytest.fixture
def server() -> Iterator[Server]:
    answers = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answers.asked.append({"path": self.path, **json.loads(body)})
            self.answer()

        def do_GET(self) -> None:
            answers.asked.append({"path": self.path})
            self.answer()

        def answer(self) -> None:
            answers.keys.append(self.headers["Authorization"])
            answers.hold.wait(60)
            if answers.status == 0:  # no HTTP at all
                self.wfile.write(answers.body)
                return
            self.send_response(answers.status, "OK\x1b[31m")
            for header in answers.headers.items():
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(answers.body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        answers.address = f"http://127.0.0.1:{http.server_port}"
        yield answers
        answers.hold.set()
        http.shutdown()
        thread.join()


@pytest.fixture
def study(make_study: Callable[..., Study], server: Server) -> Study:
    return make_study(sections=f'[prompts]\nendpoint = "{server.address}/v1"\nmodel = "parrot"')


@pytest.fixture(autouse=True)
def api_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def refuse(study: Study, lake: Lake) -> str:
    """The one line that says what is wrong; nothing is kept, and the key is not told."""
    with pytest.raises((StageError, StudyError)) as error:
        ask_endpoint(study, lake, CLUSTER, "short")
    said = str(error.value)
    assert said.isprintable() and len(said) < 400 and KEY not in said
    assert not list(lake.prompt_answers.glob("*"))
    return said


def test_an_answer_is_asked_for_once(study: Study, lake: Lake, server: Server) -> None:
    made = [ask_endpoint(study, lake, CLUSTER, family) for family in ("short", "short", "long")]
    assert [prompt.text for prompt in made] == ["a night full of stars"] * 3
    assert {(prompt.source, prompt.cluster_id) for prompt in made} == {("endpoint", "0f" * 16)}
    short, long = server.asked  # the second time it was known
    assert short["path"] == "/v1/chat/completions" and short["model"] == "parrot"
    assert "these words: starry, night." in short["messages"][0]["content"]
    assert short["messages"] != long["messages"]
    assert server.keys == [f"Bearer {KEY}"] * 2


def test_the_name_is_left_out_of_what_is_asked_without_it(
    study: Study, lake: Lake, server: Server
) -> None:
    ask_endpoint(study, lake, CLUSTER, "without_name")
    assert "these words: night." in server.asked[0]["messages"][0]["content"]


def test_the_key_is_kept_nowhere(study: Study, lake: Lake, server: Server) -> None:
    ask_endpoint(study, lake, CLUSTER, "short")
    files = [path for path in lake.root.rglob("*") if path.is_file()]
    assert len(files) == 1
    assert not any(KEY in path.read_text("utf-8", "replace") for path in files)


def test_without_a_key_none_is_sent(
    study: Study, lake: Lake, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    ask_endpoint(study, lake, CLUSTER, "short")
    assert server.keys == [None]


def test_a_key_with_a_line_break_at_its_end_is_sent_without(
    study: Study, lake: Lake, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
    ask_endpoint(study, lake, CLUSTER, "short")
    assert server.keys == [f"Bearer {KEY}"]


@pytest.mark.parametrize("odd", [f"{KEY}\r\nHost: evil", f"“{KEY}”"])
def test_a_key_that_cannot_be_one_is_not_shown(
    study: Study, lake: Lake, monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", odd)
    assert refuse(study, lake).startswith("OPENAI_API_KEY: has characters that no key has")


def test_what_is_refused_is_one_line(study: Study, lake: Lake, server: Server) -> None:
    for status, reason in (
        (401, "answered with status 401; its key is read from OPENAI_API_KEY"),
        (403, "answered with status 403; its key is read from OPENAI_API_KEY"),
        (500, "answered with status 500"),
    ):
        server.status = status
        assert refuse(study, lake).endswith(reason)


def test_a_redirect_is_not_followed_with_the_key(study: Study, lake: Lake, server: Server) -> None:
    for status in (301, 302, 303, 307, 308):
        server.status, server.headers = status, {"Location": f"{server.address}/elsewhere"}
        assert refuse(study, lake).endswith(f"answered with status {status}")
    assert {one["path"] for one in server.asked} == {"/v1/chat/completions"}


GARBAGE = {
    "no HTTP": (0, b"\x00\x01\x1b[2Jgarbage\r\n\r\n"),
    "nothing": (0, b""),
    "no JSON": (200, b"<html>\x1b[31m"),
    "no UTF-8": (200, b"\xff\xfe\x00"),
    "deep": (200, b"[" * 100_000),
    "endless": (200, b'{"choices": "' + b"x" * 2_000_000),
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_one_line(study: Study, lake: Lake, server: Server, kind: str) -> None:
    server.status, server.body = GARBAGE[kind]
    assert "no answer that can be read" in refuse(study, lake)


def test_a_broken_off_answer_is_one_line(study: Study, lake: Lake, server: Server) -> None:
    server.headers, server.body = {"Content-Length": "1000"}, completion("a night")[:40]
    assert "no answer that can be read" in refuse(study, lake)


def test_a_server_that_takes_too_long(
    study: Study, lake: Lake, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "_TIMEOUT", 0.2)  # seconds
    server.hold.clear()
    assert "timed out" in refuse(study, lake)


def test_nobody_at_the_address_and_no_address(
    make_study: Callable[..., Study], lake: Lake, tmp_path: Path
) -> None:
    for address, reason in (
        ("http://127.0.0.1:9/v1", "no answer that can be read"),
        ("file:///etc/passwd", "is no http address"),
    ):
        section = f'[prompts]\nendpoint = "{address}"\nmodel = "parrot"'
        assert reason in refuse(make_study(sections=section), lake)
    section = '[prompts]\nendpoint = "http://127.0.0.1:9/v1"'
    assert refuse(make_study(sections=section), lake).startswith("prompts: model: missing")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('  "A night,\n\nfull\tof\u2028stars"\n', "A night, full of stars"),
        ("a \x1b[31mred\x07 star\x00", "a [31mred star"),
        ("half \ud83d of a pair", "half of a pair"),
        ("'; drop table prompts; --", "; drop table prompts; --"),
        ("la nuit étoilée 🌌", "la nuit étoilée 🌌"),
    ],
)
def test_a_prompt_is_one_line_of_text(
    study: Study, lake: Lake, server: Server, text: str, expected: str
) -> None:
    server.body = completion(text)
    assert ask_endpoint(study, lake, CLUSTER, "short").text == expected
    assert ask_endpoint(study, lake, CLUSTER, "short").text == expected
    assert len(server.asked) == 1


@pytest.mark.parametrize("content", ["", " \n\x00 ", '""', None, 7, ["a star"], {"text": "a"}])
def test_an_answer_without_a_text_is_one_line(
    study: Study, lake: Lake, server: Server, content: Any
) -> None:
    server.body = completion(content)
    assert refuse(study, lake).endswith("answered without a text; ask again, or another model")


@pytest.mark.parametrize(
    "body", [b"[]", b"null", b'{"choices": []}', b'{"error": {"message": "x"}}']
)
def test_an_answer_of_another_shape_is_one_line(
    study: Study, lake: Lake, server: Server, body: bytes
) -> None:
    server.body = body
    assert refuse(study, lake).endswith("answered without a text; ask again, or another model")


def test_an_answer_that_is_no_prompt_for_its_length(
    study: Study, lake: Lake, server: Server
) -> None:
    server.body = completion("night " * 20_000)
    assert "answered with 119,999 characters, which is no prompt" in refuse(study, lake)


def test_a_server_that_says_the_key_is_not_believed_to_keep_it(
    study: Study, lake: Lake, server: Server
) -> None:
    server.status, server.body = 0, f"BOGUS {KEY} is no key\r\n\r\n".encode()
    assert "BOGUS *** is no key" in refuse(study, lake)
    for content in (KEY, f"a night of {KEY} stars"):
        server.status, server.body = 200, completion(content)
        family = "short" if content == KEY else "long"
        text = ask_endpoint(study, lake, CLUSTER, family).text
        assert text == content.replace(KEY, "***")
    kept = [path.read_text("utf-8") for path in lake.prompt_answers.iterdir()]
    assert len(kept) == 2 and not any(KEY in text for text in kept)


@pytest.mark.parametrize("user", ["user:hunter2pass", "hunter2pass", "user:hunter2pass/4"])
def test_an_endpoint_with_a_password_is_refused_without_showing_it(
    make_study: Callable[..., Study], lake: Lake, user: str
) -> None:
    section = f'[prompts]\nendpoint = "http://{user}@127.0.0.1/v1"\nmodel = "parrot"'
    said = refuse(make_study(sections=section), lake)
    assert said.startswith("prompts: endpoint: http://***@127.0.0.1/v1/chat/completions: has a")
    assert "hunter2" not in said
