"""Loopback stand-ins: LLM providers that speak the real wire, and a real OTLP receiver."""
