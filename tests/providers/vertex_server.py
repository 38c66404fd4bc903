"""Vertex AI's prediction service over gRPC, as google-cloud-aiplatform's own protobuf messages have it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.cloud.aiplatform_v1.types import prediction_service as types

_SERVICE = "google.cloud.aiplatform.v1.PredictionService"
_USAGE = {
    "prompt_token_count": 10,
    "candidates_token_count": 400,
    "thoughts_token_count": 100,
    "total_token_count": 510,
}


def _answer(text: str, *, last: bool) -> types.GenerateContentResponse:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}}
    ending = {"usage_metadata": _USAGE, "model_version": "gemini-2.5-flash", "response_id": "r1"} if last else {}
    return types.GenerateContentResponse(candidates=[candidate | ({"finish_reason": "STOP"} if last else {})], **ending)


@contextmanager
def vertex() -> Iterator[tuple[str, list[Any]]]:
    """Address of the server, and the requests that it has got; a model named `busy` is refused."""
    got: list[Any] = []

    def noted(request: Any, context: grpc.ServicerContext) -> None:
        got.append(request)
        if "busy" in request.model:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded")

    def generate(request: Any, context: grpc.ServicerContext) -> types.GenerateContentResponse:
        noted(request, context)
        return _answer("Hello there", last=True)

    def stream(request: Any, context: grpc.ServicerContext) -> Iterator[types.GenerateContentResponse]:
        noted(request, context)
        for word in ("Hel", "lo ", "the", "re"):
            yield _answer(word, last=word == "re")

    asked, said = types.GenerateContentRequest.deserialize, types.GenerateContentResponse.serialize
    handlers = {
        "GenerateContent": grpc.unary_unary_rpc_method_handler(generate, asked, said),
        "StreamGenerateContent": grpc.unary_stream_rpc_method_handler(stream, asked, said),
    }
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(_SERVICE, handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", got
    finally:
        server.stop(None).wait()
