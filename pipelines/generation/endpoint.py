"""Prompts from a language model behind an OpenAI-compatible endpoint, each asked for once."""

import hashlib
import json
import os
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit
from urllib.request import HTTPErrorProcessor, Request, build_opener

from ..core.errors import StageError, StudyError
from ..core.lake import Lake, write_text
from ..core.masking import mask, passwords_in
from ..core.study import Study
from .texts import WITHOUT_NAME, Prompt, PromptCluster, one_line

KEY_VARIABLE = "OPENAI_API_KEY"
_TIMEOUT = 60  # seconds
_NOT_ALLOWED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_MAX_BYTES = 1_000_000  # of an answer
_MAX_CHARACTERS = 2_000  # of a prompt: 77 tokens are a few hundred
_WISHES = {
    "short": "at most ten words",
    "long": "about thirty words, with details of light, colour and composition",
    "irrelevant": "about twenty words, in which this is only a print on some object in an "
    "unrelated everyday scene",
    WITHOUT_NAME: "about thirty words, with details of light, colour and composition, and without "
    "the name of an artist or a work",
}


def ask_endpoint(study: Study, lake: Lake, cluster: PromptCluster, family: str) -> Prompt:
    """The prompt that the model of `[prompts] endpoint` writes; its text is kept in the lake.

    Raises:
        StudyError: `[prompts] model` is missing, the endpoint is no http address, or the key in
            the environment is none.
        StageError: the server does not answer, or not with a prompt.

    """
    body = _question(study, cluster, family)
    path = lake.prompt_answers / f"{hashlib.md5(body.encode()).hexdigest()}.json"
    if not path.exists():
        text = _text(study, _post(study, body))
        write_text(path, json.dumps({"question": json.loads(body), "text": text}))
    text = json.loads(path.read_text(encoding="utf-8"))["text"]
    return cluster.prompt(family, text, "endpoint")


def _question(study: Study, cluster: PromptCluster, family: str) -> str:
    if study.prompts.model is None:
        raise StudyError("prompts: model: missing; say which model the endpoint is asked for")
    words = ", ".join(cluster.words_for(family))
    wish = (
        f"Write one prompt for a text-to-image model that says these words: {words}. "
        f"Write {_WISHES[family]}. Answer with the prompt alone, on one line."
    )
    messages = [{"role": "user", "content": wish}]
    return json.dumps({"model": study.prompts.model, "messages": messages, "temperature": 0})


def _post(study: Study, body: str) -> Any:
    url = _address(study)
    request = Request(url, body.encode(), _headers())
    try:
        with build_opener(_AnyStatus).open(request, timeout=_TIMEOUT) as answer:
            status, content = answer.status, answer.read(_MAX_BYTES)
        if status == HTTPStatus.OK:
            return json.loads(content)
    except (OSError, HTTPException, ValueError, RecursionError) as error:
        said = mask(one_line(str(error)), _key())[:200]
        raise StageError(f"prompts: {url}: no answer that can be read: {said}") from None
    hint = f"; its key is read from {KEY_VARIABLE}" if status in _NOT_ALLOWED else ""
    raise StageError(f"prompts: {url}: answered with status {status}{hint}")


def _address(study: Study) -> str:
    url = f"{(study.prompts.endpoint or '').rstrip('/')}/chat/completions"
    if urlsplit(url).scheme not in ("http", "https"):
        raise StudyError(f"prompts: endpoint: {study.prompts.endpoint!r} is no http address")
    if passwords_in(url):
        raise StudyError(
            f"prompts: endpoint: {url}: has a user or a password in it, which nobody is sent; "
            f"leave it out, and give a key as {KEY_VARIABLE}"
        )
    return url


class _AnyStatus(HTTPErrorProcessor):
    """Hands over every answer as it comes: a redirect would take the key to another host."""

    def http_response(self, request: Request, response: Any) -> Any:
        """The response itself."""
        return response

    https_response = http_response


def _headers() -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    if key := _key():
        headers["Authorization"] = f"Bearer {key}"
    return headers


def _key() -> str:
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not (key.isascii() and key.isprintable()):
        # Refused here, because the error of http.client would show it.
        raise StudyError(f"{KEY_VARIABLE}: has characters that no key has; set it again")
    return key


def _text(study: Study, answer: Any) -> str:
    where = f"prompts: {study.prompts.endpoint}"
    try:
        said = one_line(answer["choices"][0]["message"]["content"]).strip("\"'“” ")
        text = mask(said, _key())  # a server may say it, and prompts are shown to others
    except (KeyError, IndexError, TypeError):
        text = ""
    if not text:
        raise StageError(f"{where}: answered without a text; ask again, or another model")
    if len(text) > _MAX_CHARACTERS:
        raise StageError(
            f"{where}: answered with {len(text):,} characters, which is no prompt; ask again, or "
            "another model"
        )
    return text
