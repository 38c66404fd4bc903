"""Writes the README's pictures, docs/pictures/*.png: the local page in headless Chromium, light and dark.

Its calls are those of `hexr-instrument demo`, which runs first, repeated over a week for three tenants, some of them
refused. Needs `pip install --group page -e '.[demo]'` and a Chromium.
"""

from __future__ import annotations

import io
import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from hexr_instrument.report.page.server import PageServer
from hexr_instrument.store import Record, Store

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
HOUR = 3600 * 10**9
TENANTS = {"acme-corp": 5, "globex": 3, "initech": 1}
LARGEST = 200_000


def week(calls: list[Record], chance: random.Random) -> list[dict[str, Any]]:
    """The demo's calls as the journal has them, in runs of working hours over seven days."""
    now = time.time_ns()
    lines: list[dict[str, Any]] = []
    for hour in range(7 * 24):
        begin = now - (7 * 24 - hour) * HOUR
        busy = 6 if 8 <= begin // HOUR % 24 <= 18 else 1
        for _ in range(chance.randrange(busy + 1)):
            (tenant,) = chance.choices(list(TENANTS), list(TENANTS.values()))
            trace, start = f"{chance.getrandbits(128):032x}", begin + chance.randrange(HOUR)
            for call in calls:
                lasts = int(chance.lognormvariate(0.3, 0.6) * 10**9)
                refused = chance.random() < {"openai": 0.01, "anthropic": 0.03}.get(call.facet.provider or "", 0.02)
                line = {
                    "kind": "call",
                    "id": f"{chance.getrandbits(64):016x}",
                    "trace": trace,
                    "start": start,
                    "end": start + lasts,
                    "op": call.facet.operation,
                    "provider": call.facet.provider,
                    "model": call.facet.requested,
                    "agent": call.facet.agent,
                    "tenant": tenant,
                    "role": call.facet.role,
                    "cost_status": "no_usage" if refused else call.facet.cost_status,
                }
                if refused:
                    line |= {"error": "RateLimitError", "status": 429}
                else:
                    times = chance.randrange(1, 4)
                    line |= {"served": call.facet.served, "usage": {k: v * times for k, v in call.usage.items()}}
                    line |= {"cost": (call.cost or 0) * times, "cost_source": call.facet.cost_source}
                lines.append(line)
                start += lasts
    return lines


def demo(folder: Path) -> list[Record]:
    """The calls of `hexr-instrument demo`, the oldest first."""
    command = [sys.executable, "-m", "hexr_instrument", "demo", "--store", str(folder / "demo")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return [each for each in Store(folder / "demo").calls(100)[::-1] if each.facet.error is None]


def store(folder: Path) -> Store:
    """A store with a week of the demo's calls."""
    calls = demo(folder)
    made = Store(folder / "week")
    made.journal.mkdir(parents=True)
    header = {"v": 1, "kind": "segment", "pid": 1, "run": "00000000000000aa", "service": "crew", "keep": True}
    text = "".join(json.dumps(each) + "\n" for each in (header, *week(calls, random.Random(7))))  # noqa: S311  (a picture)
    (made.journal / "1-1-a.jsonl").write_text(text)
    made.ingest_all()
    return made


def picture(page: Page, name: str, *parts: str) -> None:
    """One picture of these elements together, with few colours: small, and as sharp."""
    boxes = [page.locator(each).bounding_box() for each in parts]
    found = [each for each in boxes if each is not None]
    top, left = min(each["y"] for each in found) - 12, min(each["x"] for each in found) - 12
    low = max(each["y"] + each["height"] for each in found) + 12
    right = max(each["x"] + each["width"] for each in found) + 12
    shot = page.screenshot(full_page=True, clip={"x": left, "y": top, "width": right - left, "height": low - top})
    file = PICTURES / f"{name}.png"
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(file, optimize=True)
    if (size := file.stat().st_size) > LARGEST:
        raise SystemExit(f"{file} has {size} bytes")
    sys.stdout.write(f"{file}: {size:,} bytes\n")


def main() -> None:
    """Makes all of them."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, PageServer([store(Path(folder))], 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for scheme in ("light", "dark"):
                view = {"width": 1280, "height": 900}
                page = browser.new_page(viewport=view, color_scheme=scheme, reduced_motion="reduce")
                page.goto(server.url)
                page.wait_for_selector("body[data-ready]")
                page.wait_for_selector("#latency svg")
                picture(page, f"panels-{scheme}", "#totals", ".panels")
                picture(page, f"tree-{scheme}", "section:has(#tree)")
            browser.close()
        server.shutdown()


if __name__ == "__main__":
    main()
