"""Loopback Voyage and AI21, in the shapes of the SDKs' own types; ten tokens for every word."""

from __future__ import annotations

from typing import Any

from providers.vendor import WORDS, VendorHandler, tokens


class VoyageHandler(VendorHandler):
    """Models: `error-429` answers with that status."""

    reason = "detail"

    def answer(self, path: str, body: dict[str, Any], model: str) -> None:
        """By the end of the path."""
        usage: dict[str, int] = {"total_tokens": 0}
        data: list[dict[str, Any]] = [{"object": "embedding", "embedding": [0.5, 0.25], "index": 0}]
        if path.endswith("rerank"):
            data = [{"index": 0, "relevance_score": 0.75}]
            usage["total_tokens"] = tokens(body["query"], *body["documents"])
        elif path.endswith("multimodalembeddings"):
            parts = body["inputs"][0]["content"]
            pixels = sum(1000 for each in parts if each["type"] != "text")
            texts = tokens(*(each.get("text") for each in parts))
            usage = {
                "text_tokens": texts,
                "image_pixels": pixels,
                "video_pixels": 0,
                "total_tokens": texts + pixels // 560,
            }
        elif path.endswith("contextualizedembeddings"):
            data = [{"object": "list", "data": data, "index": 0}]
            usage["total_tokens"] = tokens(*(text for each in body["inputs"] for text in each))
        else:
            data = [{**data[0], "index": at} for at in range(len(body["input"]))]
            usage["total_tokens"] = tokens(*body["input"])
        self.whole({"object": "list", "data": data, "model": model, "usage": usage})


class AI21Handler(VendorHandler):
    """Models: `error-422` answers with that status, `cut` breaks its stream off."""

    def answer(self, path: str, body: dict[str, Any], model: str) -> None:
        """A chat completion."""
        asked = tokens(*(each["content"] for each in body["messages"]))
        spent = {"prompt_tokens": asked, "completion_tokens": 30, "total_tokens": asked + 30}
        if not body.get("stream"):
            message = {"role": "assistant", "content": "".join(WORDS)}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self.whole({"id": f"chat-{self.number}", "choices": [choice], "usage": spent})
            return
        head = {"id": f"chat-{self.number}"}
        events: list[Any] = [
            {**head, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]} for word in WORDS
        ]
        last = {"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}
        self.events([*events, {**head, "choices": [last], "usage": spent}], cut=model == "cut")
