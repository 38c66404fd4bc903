from hexr import hexr_agent, hexr_llm


@hexr_agent(name="provider-comparison", tenant="acme-corp")
def main():
    providers = [
        ("openai", "gpt-4o"),
        ("anthropic", "claude-sonnet-4-20250514"),
        ("google", "gemini-1.5-pro"),
    ]

    for provider, model in providers:
        response = hexr_llm(
            provider=provider,
            model=model,
            prompt="Explain quantum computing in one paragraph",
        )
        # Each call traced separately — compare cost/latency in Grafana


main()
