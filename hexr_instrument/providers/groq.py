"""Groq's SDK, which is generated as OpenAI's is and speaks its language."""

from ._openai_shaped import sdk

TABLES = (sdk("groq", "Groq"),)
