"""Prompts from a language model behind an OpenAI-compatible endpoint, each asked for once."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from ..errors import StageError, StudyError
from ..lake import Lake, write_text
from ..study import Study
from .texts import WITHOUT_NAME, Prompt, PromptCluster

KEY_VARIABLE = "OPENAI_API_KEY"
_TIMEOUT = 60  # seconds
_WISHES = {
    "short": "at most ten words",
    "long": "about thirty words, with details of light, colour and composition",
    "irrelevant": "about twenty words, in which this is only a print on some object in an "
    "unrelated everyday scene",
    WITHOUT_NAME: "about thirty words, with details of light, colour and composition, and without "
    "the name of an artist or a work",
}


def ask_endpoint(study: Study, lake: Lake, cluster: PromptCluster, family: str) -> Prompt:
    """The prompt that the model of `[prompts] endpoint` writes; an answer is kept in the lake.

    Raises:
        StudyError: `[prompts] model` is missing, or the endpoint is no http address.
        StageError: the server does not answer, or not with a text.

    """
    body = _question(study, cluster, family)
    path = lake.prompt_answers / f"{hashlib.md5(body.encode()).hexdigest()}.json"
    if not path.exists():
        write_text(path, json.dumps(_post(study, body)))
    return cluster.prompt(family, _text(study, path), "endpoint")


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
    url = f"{(study.prompts.endpoint or '').rstrip('/')}/chat/completions"
    if urlsplit(url).scheme not in ("http", "https"):
        raise StudyError(f"prompts: endpoint: {study.prompts.endpoint!r} is no http address")
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get(KEY_VARIABLE):
        headers["Authorization"] = f"Bearer {key}"
    try:
        with urlopen(Request(url, body.encode(), headers), timeout=_TIMEOUT) as answer:
            return json.load(answer)
    except HTTPError as error:
        hint = f"; its key is read from {KEY_VARIABLE}" if error.code in (401, 403) else ""
        raise StageError(f"prompts: {url}: status {error.code} {error.reason}{hint}") from None
    except (URLError, TimeoutError, ValueError) as error:
        raise StageError(f"prompts: {url}: no answer that can be read: {error}") from None


def _text(study: Study, path: Path) -> str:
    try:
        answer = json.loads(path.read_text(encoding="utf-8"))
        text = " ".join(answer["choices"][0]["message"]["content"].split()).strip("\"'“”")
    except (KeyError, IndexError, TypeError, AttributeError):
        text = ""
    if not text:
        path.unlink()
        raise StageError(f"prompts: {study.prompts.endpoint}: answered without a text; ask again")
    return text
