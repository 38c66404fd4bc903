"use strict";
// The page: asks its own server for sums and calls, and shows them. Names are put in as text nodes only (charts.js).

const NAMES = ["tenant", "agent", "role", "provider", "model"];
const HOUR = 3600e3, DAY = 24 * HOUR;
const RANGES = { "1h": HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "90d": 90 * DAY };
const REFRESH = 5000;
const $ = (id) => document.getElementById(id);
const form = $("filters");
const closed = new Set();
let shown = null, latencies = null, distribution = "calls", extra = [], turn = 0, listed = [], untouched = true, latencyDue = 0;

// -- numbers as people read them

const usd = (amount, places) => {
  if (amount === null || amount === undefined) return "unknown";
  const value = Number(amount);
  const digits = places ?? (value === 0 || Math.abs(value) >= 1 ? 2 : Math.min(6, Math.max(2, 1 - Math.floor(Math.log10(Math.abs(value))))));
  return value.toLocaleString("en-US", { style: "currency", currency: "USD", minimumFractionDigits: digits, maximumFractionDigits: digits });
};
const whole = (count) => Number(count).toLocaleString("en-US");
const short = (count, exact) => exact ? whole(count)
  : count >= 1e9 ? `${+(count / 1e9).toPrecision(3)}B` : count >= 1e6 ? `${+(count / 1e6).toPrecision(3)}M` : count >= 1e4 ? `${+(count / 1e3).toPrecision(3)}k` : whole(+Number(count).toPrecision(12));
const lasting = (milliseconds) => milliseconds === null || milliseconds === undefined ? "–"
  : milliseconds < 1000 ? `${+milliseconds.toPrecision(3)} ms` : milliseconds < 60000 ? `${+(milliseconds / 1000).toPrecision(3)} s` : `${Math.floor(milliseconds / 60000)} min ${Math.round(milliseconds / 1000 % 60)} s`;
const percent = (share) => `${+(100 * share).toFixed(share && share < 0.01 ? 2 : 1)}%`;
const unknown = (name) => name === null || name === "" ? "(unknown)" : name;
const two = (number) => String(number).padStart(2, "0");

/** A time in UTC, as `costs` has it; how fine depends on the step. */
function clock(time, full) {
  const at = new Date(time), step = shown?.step_ms ?? HOUR;
  const date = `${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`, minute = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
  if (full) return step >= DAY ? `${at.getUTCFullYear()}-${date}` : `${at.getUTCFullYear()}-${date} ${minute}`;
  if (step >= DAY) return date;
  return step >= HOUR ? `${date} ${minute}` : minute;
}

// -- asking

/** The query for what the filters say; kept in the page's address too, so that it can be shared with oneself. */
function query() {
  const asked = new URLSearchParams();
  const range = form.range.value;
  if (range === "custom") {
    if (form.from.value) asked.set("since", `${form.from.value}Z`);
    if (form.to.value) asked.set("until", `${form.to.value}Z`);
  } else if (RANGES[range]) asked.set("since", range);
  for (const name of NAMES) if (form[name].value !== "*") asked.append(name, form[name].value);
  return asked;
}

async function ask(path, asked = "") {
  const answer = await fetch(`/data/${path}?${asked}`, { credentials: "same-origin" });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error ?? `HTTP ${answer.status}`);
  return said;
}

async function enter() {
  const token = location.hash.slice(1);
  if (token) {
    const answer = await fetch("/session", { method: "POST", headers: { "X-Hexr-Token": token } });
    if (!answer.ok) throw new Error("This address is of a dashboard that has ended: run hexr-instrument dashboard again.");
    history.replaceState(null, "", location.pathname);
  }
  await options();
}

/** Fills the filters with the names that are there; what is chosen stays. */
async function options() {
  const found = await ask("names");
  for (const name of NAMES) {
    const select = form[name], kept = select.value || "*";
    const wanted = ["*", ...found[name]];
    if (wanted.join("\n") === [...select.options].map((each) => each.value).join("\n")) continue;
    select.replaceChildren(...wanted.map((value) => element("option", { value }, value === "*" ? "all" : clip(unknown(value), 60))));
    select.value = wanted.includes(kept) ? kept : "*";
  }
}

/** Asks for everything anew; a later turn makes an earlier one's answers void. */
async function refresh(afresh) {
  const mine = ++turn;
  const asked = query();
  if (afresh) { extra = []; $("main").classList.add("stale"); }
  try {
    const [found, calls] = await Promise.all([ask("panels", asked), ask("calls", asked)]);
    if (mine !== turn) return;
    shown = found;
    draw(calls);
    $("main").classList.remove("stale");
    $("trouble").hidden = true;
    // Every duration is looked at: of a million calls not every five seconds.
    if (afresh || performance.now() > latencyDue) {
      const begun = performance.now(), slow = await ask("latency", asked);
      if (mine !== turn) return;
      latencies = slow;
      latencyDue = performance.now() + 20 * (performance.now() - begun);
    }
    drawLatency();
    document.body.dataset.ready = String(mine);
    await options();
  } catch (error) {
    if (mine !== turn) return;
    $("trouble").textContent = error instanceof TypeError ? "The server does not answer: has hexr-instrument dashboard ended?" : error.message;
    $("trouble").hidden = false;
    $("main").classList.remove("stale");
  }
}

// -- drawing

function draw(calls) {
  const { report } = shown, { total } = report;
  const lower = total.partial ? "≥ " : "";
  const put = (id, text, value) => { $(id).textContent = text; $(id).dataset.value = value ?? ""; };
  put("cost", total.calls ? lower + usd(total.cost_usd) : usd(0), total.cost_usd);
  put("calls", whole(total.calls), total.calls);
  put("input", short(total.input), total.input);
  put("output", short(total.output), total.output);
  put("failed", total.calls ? `${whole(total.failed)} (${percent(total.failed / total.calls)})` : "0", total.failed);
  put("coverage", report.coverage === null ? "–" : percent(report.coverage), report.coverage);
  const words = { priced: "priced", custom: "at your prices", stated: "stated by the provider", partial: "partial (lower bound)", unpriced: "unpriced", no_usage: "without usage", failed: "failed" };
  $("kinds").textContent = report.kinds.map((each) => `${whole(each.calls)} ${words[each.kind] ?? each.kind}`).join(" · ")
    + (report.covers_since ? ` · covers since ${report.covers_since.slice(0, 10)}` : "");
  $("state").textContent = `${shown.since.slice(0, 16).replace("T", " ")} – ${shown.until.slice(0, 16).replace("T", " ")} UTC`;
  drawUsage();
  bars($("tenants"), { title: "Cost per tenant", columns: ["Tenant", "Cost", "Calls"],
    rows: shown.tenants.map((each) => ({ name: unknown(each.name), value: Number(each.cost_usd ?? 0), shown: usd(each.cost_usd), more: [whole(each.calls)] })) });
  drawDistribution();
  bars($("errors"), { title: "Error rate by provider", least: 0.05, columns: ["Provider", "Error rate", "Failed", "Calls"],
    rows: shown.providers.map((each) => ({ name: unknown(each.name), value: each.failed / each.calls, style: "s6", shown: `${percent(each.failed / each.calls)} of ${whole(each.calls)}`, more: [whole(each.failed), whole(each.calls)] })).sort((one, two) => two.value - one.value) });
  drawTree();
  drawList(calls);
}

function span() {
  return { since: Date.parse(shown.since), until: Date.parse(shown.until), step: shown.step_ms, label: clock };
}

function drawUsage() {
  const { total } = shown.report;
  overTime($("usage"), { ...span(), title: "Token usage over time", stacked: true, format: short, times: shown.points.map((each) => Date.parse(each.start)),
    series: [{ name: "input", style: "s0", values: shown.points.map((each) => each.input), note: short(total.input) },
      { name: "output", style: "s1", values: shown.points.map((each) => each.output), note: short(total.output) }] });
}

function drawDistribution() {
  const by = distribution;
  const rows = shown.models.map((each) => ({ name: unknown(each.name), value: by === "calls" ? each.calls : Number(each.cost_usd ?? 0),
    shown: by === "calls" ? whole(each.calls) : usd(each.cost_usd), more: [by === "calls" ? usd(each.cost_usd) : whole(each.calls)] }));
  rows.sort((one, two) => two.value - one.value);
  ring($("distribution"), { rows, title: `Model distribution by ${by}`, columns: by === "calls" ? ["Model", "Calls", "Cost"] : ["Model", "Cost", "Calls"] });
}

function drawLatency() {
  if (!latencies || !shown) return;
  overTime($("latency"), { ...span(), title: "Latency percentiles", stacked: false, format: lasting, times: latencies.points.map((each) => Date.parse(each.start)),
    series: ["p50", "p95", "p99"].map((name, at) => ({ name, style: `s${at}`, values: latencies.points.map((each) => each[name]), note: lasting(latencies.all[name]) })) });
}

/** Rows of the tree: agent (tenant), role, model, each with the sums of what is below it. */
function drawTree() {
  const rows = [], sums = new Map();
  const into = (key, depth, name, row) => {
    if (!sums.has(key)) {
      const made = { key, depth, name, cost: null, calls: 0, input: 0, output: 0, partial: 0, below: [] };
      sums.set(key, made);
      (depth ? sums.get(key.slice(0, key.lastIndexOf("\u0000"))).below : rows).push(made);
    }
    const sum = sums.get(key);
    if (row.cost !== null) sum.cost = (sum.cost ?? 0) + row.cost / 1e12;
    for (const name of ["calls", "input", "output", "partial"]) sum[name] += row[name];
  };
  for (const row of shown.report.rows) {
    const agent = JSON.stringify([row.agent, row.tenant]), role = `${agent}\u0000${JSON.stringify(row.role)}`;
    into(agent, 0, `${unknown(row.agent)}${row.tenant === null ? "" : ` (tenant: ${row.tenant})`}`, row);
    into(role, 1, row.role === null ? "(no role)" : row.role, row);
    into(`${role}\u0000${JSON.stringify(row.model)}`, 2, unknown(row.model), row);
  }
  if (untouched && shown.report.rows.length > 30) for (const each of rows) for (const role of each.below) closed.add(role.key);
  const top = Math.max(...rows.map((each) => each.cost ?? 0), 1e-12);
  const body = [];
  const add = (row) => {
    const open = !closed.has(row.key);
    const toggle = row.depth < 2 ? element("button", { type: "button", class: "toggle", "aria-expanded": String(open), "aria-label": `${open ? "Close" : "Open"} ${row.name}`, "data-key": row.key }, open ? "▾" : "▸") : null;
    const bar = element("div");
    bar.style.width = `${100 * (row.cost ?? 0) / top}%`;
    body.push(element("tr", { class: `d${row.depth}` }, element("td", { title: row.name }, toggle, row.name),
      element("td", { class: row.cost === null ? "number dim" : "number", "data-value": row.cost ?? "" }, row.cost === null ? "unknown" : (row.partial ? "≥ " : "") + usd(row.cost)),
      element("td", { class: "bar", "aria-hidden": "true" }, row.cost === null ? null : bar),
      element("td", { class: "number" }, whole(row.calls)), element("td", { class: "number" }, short(row.input)), element("td", { class: "number" }, short(row.output))));
    if (open) row.below.sort((one, two) => (two.cost ?? -1) - (one.cost ?? -1)).forEach(add);
  };
  rows.sort((one, two) => (two.cost ?? -1) - (one.cost ?? -1)).forEach(add);
  const held = document.activeElement?.dataset?.key;
  $("tree").tBodies[0].replaceChildren(...(body.length ? body : [element("tr", {}, element("td", { colspan: "6", class: "dim" }, "No calls here."))]));
  if (held) [...$("tree").querySelectorAll("button")].find((each) => each.dataset.key === held)?.focus();
  const { total } = shown.report;
  $("tree").tFoot.replaceChildren(element("tr", {}, element("td", {}, "Total"), element("td", { class: "number", id: "total" }, total.calls ? (total.partial ? "≥ " : "") + usd(total.cost_usd) : usd(0)),
    element("td", { class: "bar" }), element("td", { class: "number" }, whole(total.calls)), element("td", { class: "number" }, short(total.input)), element("td", { class: "number" }, short(total.output))));
}

function outcome(call) {
  const cost = call.cost_usd === null ? (call.error ? "" : call.cost_status.replace("_", " ")) : `${call.cost_status === "partial" ? "≥ " : ""}${usd(call.cost_usd, 6)}`;
  const failed = call.error ? element("span", { class: "error", title: call.error }, call.status ? `HTTP ${call.status} ` : `${call.error.split(".").pop()} `) : null;
  return [failed, cost];
}

function drawList(calls) {
  const fresh = calls.calls, kept = extra.filter((each) => !fresh.some((one) => one.id === each.id));
  listed = [...fresh, ...kept];
  if (!extra.length) $("more").hidden = !calls.more;
  if (!extra.length) $("more").dataset.until = calls.until ?? "";
  const held = document.activeElement?.dataset?.id;
  const rows = listed.map((call) => element("tr", {}, element("td", {}, call.start.slice(5, 19).replace("T", " ")),
    element("td", { title: call.agent ?? "" }, `${unknown(call.agent)}${call.role === null ? "" : ` › ${call.role}`}`),
    element("td", { title: call.provider ?? "" }, unknown(call.model)),
    element("td", { class: "number" }, `${call.usage.input === undefined ? "–" : short(call.usage.input)} / ${call.usage.output === undefined ? "–" : short(call.usage.output)}`),
    element("td", { class: "number" }, lasting(call.duration_ms)), element("td", { class: "number" }, ...outcome(call)),
    element("td", {}, call.trace === null ? null : element("button", { type: "button", "data-id": call.id, "aria-label": `Trace of the call at ${call.start}` }, "show"))));
  $("list").tBodies[0].replaceChildren(...(rows.length ? rows : [element("tr", {}, element("td", { colspan: "7", class: "dim" }, "No calls here."))]));
  if (held) [...$("list").querySelectorAll("button")].find((each) => each.dataset.id === held)?.focus();
}

// -- one trace

async function openTrace(call) {
  const near = Date.parse(call.start);
  const asked = new URLSearchParams({ trace: call.trace, since: new Date(near - DAY).toISOString(), until: new Date(near + DAY).toISOString() });
  const found = await ask("calls", asked);
  const calls = found.calls.map((each) => ({ ...each, from: Date.parse(each.start), to: Date.parse(each.end ?? each.start) }));
  calls.sort((one, two) => one.from - two.from);
  const first = Math.min(...calls.map((each) => each.from)), last = Math.max(...calls.map((each) => each.to), first + 1);
  const rows = [];
  const line = (kind, depth, name, part, about) => {
    const from = Math.min(...part.map((each) => each.from)), to = Math.max(...part.map((each) => each.to));
    const mark = element("div", { class: "span", title: name });
    mark.style.left = `${100 * (from - first) / (last - first)}%`;
    mark.style.width = `${Math.max(0.3, 100 * (to - from) / (last - first))}%`;
    const costs = part.filter((each) => each.cost !== null), failed = part.length === 1 && part[0].error;
    rows.push(element("tr", { class: `d${depth} ${kind}${failed ? " failed" : ""}` }, element("td", { title: about ?? name }, name),
      element("td", { class: "lane" }, element("div", { class: "track" }, mark)), element("td", { class: "number" }, lasting(to - from)),
      element("td", { class: "number" }, ...(kind === "call" ? outcome(part[0]) : [costs.length ? usd(costs.reduce((sum, each) => sum + each.cost, 0) / 1e12, 6) : "unknown"]))));
  };
  const groups = (items, key) => [...items.reduce((found, each) => found.set(key(each), [...(found.get(key(each)) ?? []), each]), new Map())];
  for (const [, part] of groups(calls, (each) => JSON.stringify([each.agent, each.tenant]))) {
    line("agent", 0, `${unknown(part[0].agent)}${part[0].tenant === null ? "" : ` (tenant: ${part[0].tenant})`}`, part);
    for (const [, inner] of groups(part, (each) => each.role)) {
      line("role", 1, inner[0].role === null ? "(no role)" : inner[0].role, inner);
      for (const each of inner) line("call", 2, `${each.operation ?? "call"} ${unknown(each.model)}`, [each], each.error ?? undefined);
    }
  }
  $("waterfall").tBodies[0].replaceChildren(...rows);
  const cost = calls.filter((each) => each.cost !== null).reduce((sum, each) => sum + each.cost, 0) / 1e12;
  $("trace-about").textContent = `${call.trace} · ${whole(calls.length)}${found.more ? "+" : ""} ${calls.length === 1 ? "call" : "calls"} · ${usd(cost, 6)} · ${lasting(last - first)}`;
  $("trace").showModal();
}

// -- what people do

form.addEventListener("input", (event) => {
  if (event.target.name === "live") return;
  for (const each of form.querySelectorAll(".custom")) each.hidden = form.range.value !== "custom";
  refresh(true);
});
form.addEventListener("reset", () => setTimeout(() => { for (const name of NAMES) form[name].value = "*"; form.dispatchEvent(new Event("input")); }));
form.addEventListener("submit", (event) => event.preventDefault());
$("distribution").addEventListener("click", (event) => {
  const by = event.target.dataset?.by;
  if (!by) return;
  distribution = by;
  for (const each of $("distribution").querySelectorAll("[data-by]")) each.setAttribute("aria-pressed", String(each.dataset.by === by));
  if (shown) drawDistribution();
});
$("tree").addEventListener("click", (event) => {
  const { key } = event.target.dataset ?? {};
  if (key === undefined) return;
  untouched = false;
  if (!closed.delete(key)) closed.add(key);
  drawTree();
});
$("list").addEventListener("click", (event) => {
  const call = listed.find((each) => each.id === event.target.dataset?.id);
  if (call) openTrace(call).catch((error) => { $("trouble").textContent = error.message; $("trouble").hidden = false; });
});
$("more").addEventListener("click", async () => {
  const asked = query();
  asked.set("until", $("more").dataset.until);
  try {
    const found = await ask("calls", asked);
    extra = [...listed, ...found.calls.filter((each) => !listed.some((one) => one.id === each.id))];
    $("more").dataset.until = found.until ?? "";
    drawList({ calls: [], more: found.more });
    $("more").hidden = !found.more;
  } catch (error) {
    $("trouble").textContent = error.message;
    $("trouble").hidden = false;
  }
});
$("close").addEventListener("click", () => $("trace").close());
$("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
let resized = 0;
addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(() => { if (shown) { drawUsage(); drawLatency(); drawDistribution(); } }, 150); });

(async () => {
  try {
    await enter();
  } catch (error) {
    $("trouble").textContent = error.message;
    $("trouble").hidden = false;
    return;
  }
  await refresh(true);
  const again = async () => {
    if (form.live.checked && !document.hidden && !$("trace").open) await refresh(false);
    setTimeout(again, REFRESH);
  };
  setTimeout(again, REFRESH);
})();
