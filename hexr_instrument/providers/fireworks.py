"""Fireworks' SDK, which is generated as OpenAI's is and speaks its language."""

from ._openai_shaped import sdk

TABLES = (sdk("fireworks", "Fireworks", package="fireworks-ai", serves="fireworks_ai"),)
