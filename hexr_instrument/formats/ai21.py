"""AI21's chat: OpenAI's words, without the name of the model that served, and with usage in every stream."""

from __future__ import annotations

from dataclasses import replace

from . import chat

CHAT = replace(chat.CHAT, name="ai21_chat", usage_request=None, usage_only=None, ask=chat.ask_plainly)
