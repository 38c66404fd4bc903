"""What the local page costs on a large store: `python bench/page.py STORE`. Needs `pip install --group page` and a Chromium.

STORE is one that `python bench/store.py 1000000 STORE` has made. First paint: until the browser has painted anything; sums:
until the figures, charts and the tree are there; all: with the percentiles of every call.
"""

import shutil
import sys
import threading
import time

from playwright.sync_api import sync_playwright

from hexr_instrument.report.page.server import PageServer
from hexr_instrument.store import Store

PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def main():
    store = Store(sys.argv[1])
    store.ingest_all()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with PageServer([store], 0) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        browser.new_page().goto("about:blank")
        for run in range(3):
            page = browser.new_context().new_page()
            began = time.perf_counter()
            page.goto(server.url)
            page.wait_for_selector("#cost[data-value]")
            sums = time.perf_counter() - began
            page.wait_for_selector("body[data-ready]")
            ready = time.perf_counter() - began
            paint = page.evaluate(PAINT) or 0
            began = time.perf_counter()
            page.select_option("[name=range]", "all")
            page.wait_for_selector("#main:not(.stale)")
            whole = time.perf_counter() - began
            calls = page.inner_text("#calls")
            print(
                f"run {run + 1}: first paint {paint:.0f} ms; last 7 days: sums {sums:.2f} s, all {ready:.2f} s; "
                f"all {calls} calls: sums {whole:.2f} s",
                flush=True,
            )
            page.close()
        browser.close()
        server.shutdown()


if __name__ == "__main__":
    main()
