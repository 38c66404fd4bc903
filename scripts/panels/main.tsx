// Draws the panels of the dashboard with Grafana's own components, from its own JSON and a real Prometheus.
// Grafana's plugins for bars and pies are not on npm: both stand here as bar gauges, with the plugin's unit and legend.
import React from 'react';
import { createRoot } from 'react-dom/client';
import {
  applyFieldOverrides, cacheFieldDisplayNames, createTheme, type DataFrame, dateTime, FieldColorModeId, FieldConfigOptionsRegistry, FieldType, getDisplayProcessor,
  getFieldDisplayName, identityOverrideProcessor, standardTransformers, ThemeContext, toDataFrame,
} from '@grafana/data';
import {
  BarGauge, BarGaugeDisplayMode, BigValue, BigValueColorMode, BigValueGraphMode, GlobalStyles, PanelChrome, TimeSeries,
} from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { VizOrientation } from '@grafana/schema';

const asked = new URLSearchParams(location.search);
const theme = createTheme({ colors: { mode: asked.get('theme') === 'light' ? 'light' : 'dark' } });
const now = Number(asked.get('now')), from = now - 24 * 3600, step = Number(asked.get('step'));
const names = ['unit', 'min', 'max', 'decimals', 'displayName', 'noValue', 'thresholds', 'mappings', 'color', 'links'];
const registry: any = new FieldConfigOptionsRegistry(() => names.map((id) => ({
  id, path: id, name: id, isCustom: false, process: identityOverrideProcessor, shouldApply: () => true,
})) as any);
const said: any[] = [];
const told = (window as any).told = { errors: said, panels: [] as any[], done: false };

// As the data source gives it: what is no number is a gap.
function number(text: string): number | null {
  return Number.isFinite(Number(text)) ? Number(text) : null;
}

function concrete(query: string): string {
  return query.replaceAll('$__rate_interval', `${4 * step}s`).replaceAll('$__interval', `${step}s`)
    .replaceAll('$__range', `${now - from}s`).replace(/\$\{\w+:regex\}/g, '.*');
}

async function ask(target: any): Promise<any[]> {
  const range = { start: String(from), end: String(now), step: String(step) };
  const query = new URLSearchParams({ query: concrete(target.expr), ...(target.instant ? { time: String(now) } : range) });
  const answer = await (await fetch(`/api/v1/${target.instant ? 'query' : 'query_range'}?${query}`)).json();
  if (answer.status !== 'success') { said.push([target.expr, answer.error]); return []; }
  return answer.data.result;
}

async function framesOf(panel: any): Promise<DataFrame[]> {
  const frames: DataFrame[] = [];
  for (const target of panel.targets.filter((each: any) => each.expr)) {
    const found = await ask(target);
    if (target.format === 'table') {
      const labels = [...new Set(found.flatMap((each) => Object.keys(each.metric)))];
      frames.push(toDataFrame({ refId: target.refId, fields: [
        { name: 'Time', type: FieldType.time, values: found.map((each) => each.value[0] * 1000) },
        ...labels.map((name) => ({ name, type: FieldType.string, values: found.map((each) => each.metric[name] ?? '') })),
        // As the data source names it: by the query where there are several.
        { name: panel.targets.length > 1 ? `Value #${target.refId}` : 'Value', type: FieldType.number, values: found.map((each) => number(each.value[1])) },
      ] }));
      continue;
    }
    for (const series of found) {
      const legend = (target.legendFormat ?? '').replace(/\{\{\s*(\w+)\s*\}\}/g, (_: string, key: string) => series.metric[key] ?? '');
      const points = target.instant ? [series.value] : series.values;
      frames.push(toDataFrame({ refId: target.refId, name: legend, fields: [
        { name: 'Time', type: FieldType.time, values: points.map((each: any) => each[0] * 1000) },
        { name: 'Value', type: FieldType.number, labels: series.metric, config: { displayNameFromDS: legend }, values: points.map((each: any) => number(each[1])) },
      ] }));
    }
  }
  return frames;
}

// The two transformations that the dashboard has, as Grafana does them, without the rest of its registry.
async function transformed(panel: any, frames: DataFrame[]): Promise<DataFrame[]> {
  const { lastValueFrom, of } = await import('rxjs');
  let found = frames;
  for (const each of panel.transformations ?? []) {
    const known: any = { merge: standardTransformers.mergeTransformer, organize: standardTransformers.organizeFieldsTransformer };
    found = await lastValueFrom(of(found).pipe(known[each.id].operator(each.options, { interpolate: (text: string) => text })) as any) as DataFrame[];
  }
  return found;
}

function bars(panel: any, frames: DataFrame[], width: number, height: number) {
  const rows: Array<{ title: string; value: number; field: any }> = [];
  for (const frame of frames) {
    const value = frame.fields.find((each) => each.type === FieldType.number)!;
    const title = frame.fields.find((each) => each.name === panel.options?.xField) ?? frame.fields.find((each) => each.type === FieldType.string);
    for (let at = 0; at < frame.length; at += 1) {
      rows.push({ title: title ? title.values[at] : getFieldDisplayName(value, frame, frames), value: value.values[at], field: value });
    }
  }
  const max = panel.fieldConfig.defaults.max ?? Math.max(...rows.map((each) => each.value));
  return <div>{rows.map((each, at) => {
    const display = getDisplayProcessor({ field: each.field, theme });
    return <BarGauge key={at} theme={theme} width={width} height={Math.min(56, height / rows.length)} value={{ ...display(each.value), title: each.title }}
      field={{ ...each.field.config, min: 0, max }} display={display} orientation={VizOrientation.Horizontal} displayMode={BarGaugeDisplayMode.Gradient} namePlacement={panel.options?.namePlacement} itemSpacing={8} lcdCellWidth={12} />;
  })}</div>;
}

function Body({ panel, frames, width, height }: any) {
  const rows = frames.reduce((sum: number, each: DataFrame) => sum + each.length, 0);
  if (!rows) return <div style={{ padding: 8, opacity: 0.7 }}>{panel.fieldConfig.defaults.noValue ?? 'No data'}</div>;
  if (panel.type === 'timeseries') {
    const time: any = { from: dateTime(from * 1000), to: dateTime(now * 1000), raw: { from: 'now-24h', to: 'now' } };
    return <TimeSeries frames={frames} timeRange={time} timeZone="utc" width={width} height={height} legend={panel.options.legend} options={{}} />;
  }
  if (panel.type === 'table') return <TableNG data={frames[0]} width={width} height={height} sortBy={panel.options?.sortBy} structureRev={1} />;
  if (panel.type === 'stat') {
    const field = frames[0].fields[1];
    return <BigValue theme={theme} width={width} height={height} value={getDisplayProcessor({ field, theme })(field.values[0])} colorMode={BigValueColorMode.Value} graphMode={BigValueGraphMode.None} />;
  }
  return bars(panel, frames, width, height);
}

async function run() {
  const dashboard = await (await fetch('/dashboard.json')).json();
  const drawn: any[] = [];
  for (const panel of dashboard.panels.flatMap((each: any) => each.type === 'row' ? [each, ...each.panels] : [each])) {
    if (panel.type === 'row') { drawn.push({ panel, frames: [] }); continue; }
    const defaults = { color: { mode: FieldColorModeId.PaletteClassic }, thresholds: { mode: 'absolute', steps: [{ value: -Infinity, color: 'green' }] }, ...panel.fieldConfig.defaults };
    defaults.thresholds = { ...defaults.thresholds, steps: defaults.thresholds.steps.map((each: any) => ({ ...each, value: each.value ?? -Infinity })) };
    if (panel.type === 'stat' || panel.type === 'bargauge') defaults.color = { mode: FieldColorModeId.Thresholds };
    const frames = applyFieldOverrides({
      data: await transformed(panel, await framesOf(panel)), theme, timeZone: 'utc', fieldConfigRegistry: registry,
      fieldConfig: { defaults, overrides: panel.fieldConfig.overrides ?? [] }, replaceVariables: (text: string) => text,
    });
    cacheFieldDisplayNames(frames);
    // A panel's own registry has what is custom; here it is taken as it stands.
    const custom = { lineWidth: 1, drawStyle: 'line', fillOpacity: 0, ...panel.fieldConfig.defaults.custom };
    for (const frame of frames) for (const field of frame.fields) field.config = { ...field.config, custom: { ...custom, ...field.config.custom } };
    drawn.push({ panel, frames });
    told.panels.push([panel.title, panel.type, frames.reduce((sum, each) => sum + each.length, 0), panel.targets.some((each: any) => each.expr)]);
  }
  const wide = 1440 / 24, high = 38;
  const bottom = Math.max(...drawn.map(({ panel }) => (panel.gridPos.y + panel.gridPos.h) * high));
  createRoot(document.getElementById('root')!).render(<ThemeContext.Provider value={theme}><GlobalStyles />
    <div style={{ position: 'relative', width: 1440, height: bottom, background: theme.colors.background.canvas, color: theme.colors.text.primary }}>
      {drawn.map(({ panel, frames }, at) => {
        const width = panel.gridPos.w * wide - 8, height = panel.gridPos.h * high - 8;
        return <div key={at} id={`panel-${at}`} style={{ position: 'absolute', left: panel.gridPos.x * wide, top: panel.gridPos.y * high, width, height }}>
          {panel.type === 'row' ? <h4>{panel.title}</h4> : <PanelChrome title={panel.title} description={panel.description} width={width} height={height}>
            {(inner: number, tall: number) => <Body panel={panel} frames={frames} width={inner} height={tall} />}</PanelChrome>}
        </div>;
      })}
    </div></ThemeContext.Provider>);
  told.done = true;
}
run().catch((error) => { said.push(String(error && error.stack || error)); told.done = true; });
