"use strict";
// Charts as SVG and text nodes. Each also has its numbers as a table, for whoever does not see the picture.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children; texts become text nodes, whatever is in them. */
function element(name, attributes = {}, ...children) {
  const made = name.startsWith("svg:") ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((each) => each !== null && each !== undefined));
  return made;
}

const svg = (name, attributes, ...children) => element(`svg:${name}`, attributes, ...children);

/** Rounded bounds and steps of an axis from 0 to at least `top`. */
function ticks(top, count = 4) {
  if (!(top > 0)) return [0, 1];
  const raw = top / count;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * unit).find((each) => each >= raw * 0.999);
  const found = [];
  for (let at = 0; at < top + step * 0.999; at += step) found.push(at);
  return found;
}

/** Puts a picture, its legend and its numbers into a figure, after the caption. Open tables stay open. */
function fill(figure, parts) {
  const open = figure.querySelector("details")?.open;
  while (figure.children.length > 1) figure.lastElementChild.remove();
  figure.append(...parts.filter(Boolean));
  if (open) figure.querySelector("details")?.setAttribute("open", "");
}

function numbers(caption, header, rows) {
  return element("details", {}, element("summary", {}, "Numbers"), element("div", { class: "scroll", tabindex: "0" },
    element("table", {}, element("caption", { class: "dim" }, caption),
      element("thead", {}, element("tr", {}, ...header.map((each, at) => element("th", { scope: "col", class: at ? "number" : null }, each)))),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((each, at) => at
        ? element("td", { class: "number" }, each) : element("th", { scope: "row" }, each))))))));
}

function legend(items) {
  return element("ul", { class: "legend" }, ...items.map(([style, name, value]) => element("li", {},
    svg("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" }, svg("rect", { width: 10, height: 10, rx: 2, class: style })),
    element("span", {}, name), value === undefined ? null : element("b", {}, value))));
}

const nothing = () => element("p", { class: "dim" }, "No calls here.");

/**
 * Values over time: stacked bars, or lines.
 * series: [{name, style, values: [number or null]}]; times: [Date] of the steps that have calls.
 */
function overTime(figure, { times, since, until, step, series, format, label, stacked, title }) {
  if (!times.length) return fill(figure, [nothing()]);
  const width = Math.max(320, Math.min(900, figure.clientWidth - 34)), height = 210;
  const box = { left: 52, right: 8, top: 8, bottom: 24 };
  const inner = { width: width - box.left - box.right, height: height - box.top - box.bottom };
  const tops = times.map((_, at) => stacked
    ? series.reduce((sum, each) => sum + (each.values[at] ?? 0), 0) : Math.max(...series.map((each) => each.values[at] ?? 0)));
  const axis = ticks(Math.max(...tops));
  const top = axis[axis.length - 1];
  const count = Math.max(1, Math.ceil((until - since) / step));
  const x = (time) => box.left + ((time - since) / (count * step)) * inner.width;
  const y = (value) => box.top + inner.height * (1 - value / top);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  for (const each of axis) {
    picture.append(svg("line", { class: "grid", x1: box.left, x2: width - box.right, y1: y(each), y2: y(each) }),
      svg("text", { x: box.left - 6, y: y(each) + 4, "text-anchor": "end" }, format(each)));
  }
  const marks = Math.max(2, Math.min(6, Math.floor(inner.width / 110)));
  for (let at = 0; at < marks; at++) {
    const time = since + Math.round((count - 1) * at / (marks - 1)) * step;
    const anchor = at === 0 ? "start" : at === marks - 1 ? "end" : "middle";
    picture.append(svg("text", { x: Math.min(width - box.right, x(time + (at === marks - 1 ? step : 0))), y: height - 6, "text-anchor": anchor }, label(time)));
  }
  const wide = Math.max(1, (inner.width / count) * 0.82);
  if (stacked) {
    times.forEach((time, at) => {
      let base = 0;
      for (const each of series) {
        const value = each.values[at] ?? 0;
        if (value) picture.append(svg("rect", { class: each.style, x: x(time) + (inner.width / count - wide) / 2, width: wide, y: y(base + value), height: Math.max(0.5, y(base) - y(base + value)) }));
        base += value;
      }
    });
  } else {
    for (const each of series) {
      const points = times.map((time, at) => [x(time + step / 2), each.values[at]]).filter(([, value]) => value !== null && value !== undefined);
      picture.append(svg("polyline", { class: `line ${each.style}`, fill: "none", points: points.map(([left, value]) => `${left},${y(value)}`).join(" ") }));
      if (points.length < 40) for (const [left, value] of points) picture.append(svg("circle", { class: each.style, cx: left, cy: y(value), r: 2.5 }));
    }
  }
  const readout = element("p", { class: "readout", "aria-hidden": "true" });
  const cursor = svg("line", { class: "cursor", y1: box.top, y2: box.top + inner.height, visibility: "hidden" });
  picture.append(cursor);
  picture.addEventListener("pointermove", (event) => {
    const at = (event.clientX - picture.getBoundingClientRect().left) / picture.getBoundingClientRect().width * width;
    const time = since + (at - box.left) / inner.width * count * step - step / 2;
    let best = 0;
    times.forEach((each, index) => { if (Math.abs(each - time) < Math.abs(times[best] - time)) best = index; });
    cursor.setAttribute("visibility", "visible");
    cursor.setAttribute("x1", x(times[best] + step / 2));
    cursor.setAttribute("x2", x(times[best] + step / 2));
    readout.textContent = `${label(times[best], true)}: ${series.map((each) => `${each.name} ${format(each.values[best] ?? 0)}`).join(", ")}`;
  });
  picture.addEventListener("pointerleave", () => { cursor.setAttribute("visibility", "hidden"); readout.textContent = ""; });
  fill(figure, [picture, legend(series.map((each) => [each.style, each.name, each.note])), readout,
    numbers(title, ["Time", ...series.map((each) => each.name)], times.map((time, at) => [label(time, true), ...series.map((each) => each.values[at] == null ? "–" : format(each.values[at], true))]))]);
}

/** Horizontal bars. rows: [{name, value, shown, style, more}]; the longest is at least `least`. */
function bars(figure, { rows, title, columns, least = 0 }) {
  if (!rows.length) return fill(figure, [nothing()]);
  const limit = 8;
  const shown = rows.slice(0, limit);
  const width = Math.max(280, Math.min(520, figure.clientWidth - 34)), tall = 36;
  const top = Math.max(least, ...rows.map((each) => each.value ?? 0)) || 1;
  const picture = svg("svg", { viewBox: `0 0 ${width} ${shown.length * tall}`, role: "img", "aria-label": title });
  shown.forEach((each, at) => {
    const y = at * tall;
    picture.append(svg("text", { x: 0, y: y + 13 }, clip(each.name, Math.floor((width - 130) / 6.3))),
      svg("text", { class: "value", x: width, y: y + 13, "text-anchor": "end" }, each.shown),
      svg("rect", { class: each.style ?? "s0", x: 0, y: y + 19, rx: 3, height: 9, width: Math.max(each.value ? 2 : 0, (each.value ?? 0) / top * width) }));
  });
  const hidden = rows.length - shown.length;
  fill(figure, [picture, hidden ? element("p", { class: "dim" }, `and ${hidden} more`) : null,
    numbers(title, columns, rows.map((each) => [each.name, each.shown, ...(each.more ?? [])]))]);
}

/** A ring of shares. rows: [{name, value, shown}] */
function ring(figure, { rows, title, columns }) {
  const whole = rows.reduce((sum, each) => sum + (each.value ?? 0), 0);
  if (!whole) return fill(figure, [nothing()]);
  let shown = rows.slice(0, 7);
  const rest = rows.slice(7).reduce((sum, each) => sum + (each.value ?? 0), 0);
  if (rest) shown = [...shown, { name: `${rows.length - 7} others`, value: rest }];
  const picture = svg("svg", { viewBox: "-110 -85 220 170", role: "img", "aria-label": title });
  let angle = -Math.PI / 2;
  shown.forEach((each, at) => {
    const share = (each.value ?? 0) / whole;
    if (!share) return;
    const end = angle + Math.min(share, 0.99999) * 2 * Math.PI;
    const corner = (radius, turn) => `${(radius * Math.cos(turn)).toFixed(2)} ${(radius * Math.sin(turn)).toFixed(2)}`;
    const large = share > 0.5 ? 1 : 0;
    picture.append(svg("path", { class: `slice s${at}`, d: `M ${corner(80, angle)} A 80 80 0 ${large} 1 ${corner(80, end)} L ${corner(48, end)} A 48 48 0 ${large} 0 ${corner(48, angle)} Z` }));
    angle = end;
  });
  fill(figure, [picture,
    legend(shown.map((each, at) => [`s${at}`, clip(each.name, 34), `${(100 * (each.value ?? 0) / whole).toFixed(1)}%`])),
    numbers(title, columns, rows.map((each) => [each.name, each.shown, ...(each.more ?? [])]))]);
}

/** A name that is too long, cut in its middle: both its ends tell models apart. */
function clip(name, length) {
  return name.length <= length ? name : `${name.slice(0, Math.ceil(length / 2) - 1)}…${name.slice(1 - Math.floor(length / 2))}`;
}
