from hexr import hexr_agent, hexr_llm


@hexr_agent(name="my-agent", tenant="acme-corp")
def main():
    # This call generates a full OpenTelemetry span automatically
    response = hexr_llm(
        provider="openai",
        model="gpt-4o",
        prompt="Summarize the latest AI research",
    )


main()
