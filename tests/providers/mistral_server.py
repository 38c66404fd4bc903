"""A loopback Mistral: the answers of its API in the shapes of the SDK's own types, ten tokens for every word."""

from __future__ import annotations

from typing import Any

from providers.vendor import WORDS, VendorHandler, tokens


class MistralHandler(VendorHandler):
    """Models: `error-429` answers with that status, `cut` breaks its stream off, `thinker` thinks aloud."""

    def answer(self, path: str, body: dict[str, Any], model: str) -> None:
        """By the end of the path."""
        head = {"id": f"cmpl-{self.number}", "created": 1795176000, "model": model}
        if path.endswith("/conversations") or "/conversations/" in path:
            self._conversation(body, model or "mistral-medium-2508")
        elif path.endswith("/embeddings"):
            inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
            data = [{"object": "embedding", "index": at, "embedding": [0.5, 0.25]} for at in range(len(inputs))]
            spent = {"prompt_tokens": tokens(*inputs), "completion_tokens": 0, "total_tokens": tokens(*inputs)}
            self.whole({"object": "list", "data": data, "usage": spent, **head})
        else:
            self._completion(body, head)

    def _completion(self, body: dict[str, Any], head: dict[str, Any]) -> None:
        asked = tokens(body.get("prompt"), body.get("suffix"), *(each["content"] for each in body.get("messages", ())))
        spent: dict[str, Any] = {"prompt_tokens": asked, "completion_tokens": 30, "total_tokens": asked + 30}
        if "agent_id" in body:
            head["model"] = "mistral-large-2512"
        if head["model"] == "thinker":
            spent["prompt_tokens_details"] = {"cached_tokens": 10}
            spent["service_tier"] = "standard"
        said = "".join(WORDS) if not body.get("response_format") else '{"sound": "purr"}'
        if not body.get("stream"):
            message = {"role": "assistant", "content": said, "tool_calls": None, "prefix": False}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            self.whole({"object": "chat.completion", "choices": [choice], "usage": spent, **head})
            return
        pieces: list[Any] = list(WORDS) if not body.get("response_format") else [said]
        if head["model"] == "thinker":
            pieces.insert(0, [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}])
        deltas = [{"role": "assistant", "content": ""}, *({"content": each} for each in pieces)]
        events: list[dict[str, Any]] = [
            {"object": "chat.completion.chunk", **head, "choices": [{"index": 0, "delta": each, "finish_reason": None}]}
            for each in deltas
        ]
        last = {"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}
        events.append({"object": "chat.completion.chunk", **head, "choices": [last], "usage": spent})
        self.events(events, cut=head["model"] == "cut")

    def _conversation(self, body: dict[str, Any], model: str) -> None:
        asked = tokens(body["inputs"])
        spent: dict[str, Any] = {"prompt_tokens": asked, "completion_tokens": 30, "total_tokens": asked + 30}
        if body.get("tools"):
            spent |= {"connector_tokens": 500, "connectors": {"web_search": 1}, "total_tokens": asked + 530}
        entry = {"id": f"msg_{self.number}", "type": "message.output", "role": "assistant", "model": model}
        if not body.get("stream"):
            made = {**entry, "object": "entry", "content": "".join(WORDS)}
            answer = {"object": "conversation.response", "conversation_id": "conv_1", "outputs": [made], "usage": spent}
            self.whole(answer)
            return
        pieces = [{**entry, "type": "message.output.delta", "content": each} for each in WORDS]
        started = {"type": "conversation.response.started", "conversation_id": "conv_1"}
        ended = {"type": "conversation.response.done", "usage": spent}
        self.events([started, *pieces, ended], named=True, done=False)
