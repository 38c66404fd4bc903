"""google-genai's batch jobs: billed once, when a job is seen to be over or its file is read, to whoever created it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import Provider, Request, Target, pick, text
from ..formats.google_batches import GOOGLE_BATCHES as FORMAT
from ..formats.google_batches import JOB_LIST, JOB_OUTPUT, short
from . import _google


def _request(batches: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request:
    listed = target.endswith("._list")
    request = Request(
        format=JOB_LIST if listed else FORMAT,
        provider="",
        model=_google.short(text(kwargs, "model")),
        operation="embeddings" if "embeddings" in target else FORMAT.operation,
        billing="owed" if listed else "job",
        starts="._create" in target,
    )
    return _google.served(request, pick(batches, "_api_client"), kwargs.get("config"))


def _file(files: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request:
    name = short(kwargs.get("file"))
    request = Request(format=JOB_OUTPUT, provider="", billing="owed", response_id=name)
    return _google.served(request, pick(files, "_api_client"), kwargs.get("config"))


GOOGLE_BATCHES = Provider(
    name="google.batches",
    module="google.genai.batches",
    targets=tuple(
        Target(f"{kind}.{method}", drive, parameters, optional=True)
        for kind, drive in (("Batches", "call"), ("AsyncBatches", "acall"))
        for method, parameters in (
            ("_create", ("src",)),
            ("_create_embeddings", ("src",)),
            ("get", ("name",)),
            ("_list", ()),
        )
    ),
    request=_request,
    outcome=_google.outcome,
    owner=_google.owner,
    handle=_google.handle,
    clients=(),
)
GOOGLE_FILES = Provider(
    name="google.files",
    module="google.genai.files",
    targets=(
        Target("Files.download", "call", ("file",), optional=True),
        Target("AsyncFiles.download", "acall", ("file",), optional=True),
    ),
    request=_file,
    outcome=_google.outcome,
    owner=_google.owner,
    handle=_google.handle,
    clients=(),
)
TABLES = (GOOGLE_BATCHES, GOOGLE_FILES)
