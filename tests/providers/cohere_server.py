"""A loopback Cohere: the answers of its API in the shapes of the SDK's own types; a third of what is counted is billed."""

from __future__ import annotations

from typing import Any

from providers.vendor import WORDS, VendorHandler, tokens


class CohereHandler(VendorHandler):
    """Models: `error-429` answers with that status, `cut` breaks its stream off."""

    def answer(self, path: str, body: dict[str, Any], model: str) -> None:
        """By the path."""
        version, _, what = path.strip("/").partition("/")
        if what == "rerank":
            results = [{"index": 0, "relevance_score": 0.75}]
            self.whole({"id": "r1", "results": results, "meta": {"billed_units": {"search_units": 1}}})
        elif what == "embed":
            texts = body.get("texts") or []
            meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": tokens(*texts)}}
            vectors: Any = [[0.5, 0.25] for _ in texts]
            kind = "embeddings_by_type" if version == "v2" else "embeddings_floats"
            made = {"float": vectors} if version == "v2" else vectors
            self.whole({"id": "e1", "response_type": kind, "embeddings": made, "texts": texts, "meta": meta})
        elif what == "generate":
            said = [{"id": "g1", "text": "".join(WORDS), "finish_reason": "COMPLETE"}]
            self.whole({"id": "g0", "prompt": body["prompt"], "generations": said, "meta": _spent(body["prompt"])})
        elif version == "v2":
            self._chat(body, model)
        else:
            self._chat_1(body, model)

    def _chat(self, body: dict[str, Any], model: str) -> None:
        spent = _spent(*(each["content"] for each in body["messages"]))
        if not body.get("stream"):
            content = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "".join(WORDS)}]
            message = {"role": "assistant", "content": content}
            self.whole({"id": "c1", "finish_reason": "COMPLETE", "message": message, "usage": spent})
            return
        pieces = [{"thinking": "Hm."}, *({"text": word} for word in WORDS)]
        self.events(
            [
                {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}},
                *({"type": "content-delta", "index": 0, "delta": {"message": {"content": each}}} for each in pieces),
                {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": spent}},
            ],
            cut=model == "cut",
        )

    def _chat_1(self, body: dict[str, Any], model: str) -> None:
        whole = {
            "response_id": "c1",
            "generation_id": "g1",
            "text": "".join(WORDS),
            "finish_reason": "COMPLETE",
            "meta": _spent(body["message"]),
        }
        if not body.get("stream"):
            self.whole(whole)
            return
        events = [
            {"is_finished": False, "event_type": "stream-start", "generation_id": "g1"},
            *({"is_finished": False, "event_type": "text-generation", "text": word} for word in WORDS),
            {"is_finished": True, "event_type": "stream-end", "finish_reason": "COMPLETE", "response": whole},
        ]
        self.lines(events)


def _spent(*asked: str) -> dict[str, Any]:
    counted = tokens(*asked)
    billed = {"input_tokens": counted / 1.0, "output_tokens": 30}
    return {"billed_units": billed, "tokens": {"input_tokens": counted + 60, "output_tokens": 33}}
