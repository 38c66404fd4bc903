// Says which TraceQL queries of a dashboard Grafana's own grammar does not take: `node traceql.mjs DASHBOARD`.
import { readFileSync } from 'node:fs';
import { parser } from '@grafana/lezer-traceql';

const dashboard = JSON.parse(readFileSync(process.argv[2], 'utf8'));
let seen = 0;
const wrong = [];
for (const panel of dashboard.panels) {
  const queries = (panel.targets ?? []).filter((each) => each.queryType === 'traceql').map((each) => each.query);
  for (const url of JSON.stringify(panel).match(/panes=[^"]*/g) ?? []) {
    const panes = decodeURIComponent(url.slice(6).replace(/\$\{[^}]*\}/g, 'crew'));
    for (const pane of Object.values(JSON.parse(panes))) queries.push(...pane.queries.map((each) => each.query));
  }
  for (const query of queries) {
    seen += 1;
    parser.parse(query).iterate({ enter: (node) => { if (node.type.isError) wrong.push(`${panel.title}: ${query} at ${node.from}`); } });
  }
}
process.stdout.write(`${seen} TraceQL queries\n`);
if (wrong.length || !seen) { process.stderr.write(`${wrong.join('\n')}\n`); process.exitCode = 1; }
