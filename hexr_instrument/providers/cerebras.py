"""Cerebras' SDK, which is generated as OpenAI's is and speaks its language."""

from ._openai_shaped import sdk

TABLES = (sdk("cerebras", "Cerebras", package="cerebras-cloud-sdk", module="cerebras.cloud.sdk"),)
