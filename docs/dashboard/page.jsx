// A page that draws a rendered dashboard with Grafana's components, from what Prometheus has answered to its queries.
// The panels of Grafana itself are not on npm: below is what they pass to these components.
import "uplot/dist/uPlot.min.css";

import { createTheme, dateTime, FieldType, getDisplayProcessor, getMinMaxAndDelta, reduceField, ThemeContext } from "@grafana/data";
import { BigValue, GlobalStyles, Icon, PanelChrome, TimeSeries } from "@grafana/ui";
import { createRoot } from "react-dom/client";

const CELL = 30; // Grafana's grid has cells of 30 pixels, and 8 pixels between them
const GAP = 8;
const COLUMNS = 24;
const THEME = createTheme({ colors: { mode: "light" } });
const OF_GRAPHS = { lineWidth: 1, pointSize: 5, lineInterpolation: "linear", axisPlacement: "auto", gradientMode: "none" };

window.__grafana_public_path__ = "public/";
window.draw = ({ board, answers, from, to, step, rows }) => {
  const range = { from: dateTime(from * 1000), to: dateTime(to * 1000), raw: board.time };
  const shown = panelsOf(board, rows);
  const top = Math.min(...shown.map(({ gridPos: { y } }) => y));
  const bottom = Math.max(...shown.map(({ gridPos: { y, h } }) => y + h));
  const page = { padding: GAP, background: THEME.colors.background.canvas };
  document.body.style.margin = 0;
  createRoot(document.getElementById("board")).render(
    <ThemeContext.Provider value={THEME}>
      <GlobalStyles />
      <div style={page}>
        {top === 0 && <Bar board={board} />}
        <div style={{ position: "relative", height: (bottom - top) * (CELL + GAP) }}>
          {shown.map((panel) => (
            <Placed key={panel.id} {...{ panel, top, range, step, answers }} />
          ))}
        </div>
      </div>
    </ThemeContext.Provider>,
  );
};

function panelsOf(board, rows) {
  let row;
  return board.panels.filter((panel) => {
    if (panel.type === "row") row = panel.title;
    return rows.includes(row);
  });
}

function Bar({ board }) {
  const shown = board.templating.list.map(({ label, current, query }) => [label, current?.text ?? query]);
  return (
    <header style={{ display: "flex", alignItems: "center", gap: 8, margin: "0 0 8px", fontSize: 14 }}>
      <strong style={{ fontSize: 18, fontWeight: 500, marginRight: 16 }}>{board.title}</strong>
      {shown.map(([label, value]) => (
        <Box key={label}>
          {label} <span style={{ marginLeft: 12, color: THEME.colors.text.link }}>{value}</span>
        </Box>
      ))}
      <span style={{ flex: 1 }} />
      {board.links.map(({ title }) => (
        <Box key={title}>{title}</Box>
      ))}
    </header>
  );
}

function Box({ children }) {
  const border = `1px solid ${THEME.colors.border.medium}`;
  return <span style={{ border, borderRadius: 2, padding: "5px 10px", background: "white" }}>{children}</span>;
}

function Placed({ panel, top, range, step, answers }) {
  const { x, y, w, h } = panel.gridPos;
  const column = (window.innerWidth - 2 * GAP - (COLUMNS - 1) * GAP) / COLUMNS;
  const size = { width: w * (column + GAP) - GAP, height: h * (CELL + GAP) - GAP };
  const place = { position: "absolute", left: x * (column + GAP), top: (y - top) * (CELL + GAP), ...size };
  const drawn = panel.type === "row" ? <Title panel={panel} /> : <Drawn {...{ panel, range, step, answers, size }} />;
  return <div style={place}>{drawn}</div>;
}

function Title({ panel }) {
  const count = panel.collapsed && <span style={{ color: THEME.colors.text.secondary }}>({panel.panels.length} panels)</span>;
  return (
    <div style={{ display: "flex", alignItems: "center", gap: 6, fontSize: 16, fontWeight: 500, paddingTop: 4 }}>
      <Icon name={panel.collapsed ? "angle-right" : "angle-down"} /> {panel.title} {count}
    </div>
  );
}

function Drawn({ panel, range, step, answers, size }) {
  const frames = framesOf(panel, answers, step);
  const draw = panel.type === "stat" ? stat : graph;
  return (
    <PanelChrome title={panel.title} description={panel.description} {...size}>
      {(width, height) => (frames.length ? draw({ panel, frames, range, width, height }) : <NoData />)}
    </PanelChrome>
  );
}

function NoData() {
  const style = { display: "flex", height: "100%", alignItems: "center", justifyContent: "center" };
  return <div style={{ ...style, color: THEME.colors.text.secondary }}>No data</div>;
}

function framesOf(panel, answers, step) {
  const series = panel.targets.flatMap(({ refId, legendFormat }) =>
    answers[`${panel.id}${refId}`].map((one) => ({ ...one, name: named(legendFormat, one.metric) })),
  );
  return series.map(({ metric, name, values }, seriesIndex) => {
    const times = values.map(([at]) => at * 1000);
    const config = configOf(panel, name);
    const field = { name: "Value", type: FieldType.number, labels: metric, values: values.map(numbered), config };
    field.state = { seriesIndex, range: getMinMaxAndDelta(field) };
    field.display = getDisplayProcessor({ field, theme: THEME, timeZone: "utc" });
    const time = { name: "Time", type: FieldType.time, values: times, config: { interval: step * 1000 } };
    return { length: times.length, fields: [time, field] };
  });
}

function configOf(panel, name) {
  const { defaults, overrides } = panel.fieldConfig;
  const mode = panel.type === "stat" ? "thresholds" : "palette-classic"; // as these panels do by default
  const config = { color: { mode }, ...defaults, displayNameFromDS: name, custom: { ...OF_GRAPHS, ...defaults.custom } };
  for (const { matcher, properties } of overrides) {
    if (matcher.id === "byRegexp" && new RegExp(matcher.options.replaceAll("/", "")).test(name)) {
      for (const { id, value } of properties) set(config, id.split("."), value);
    }
  }
  return config;
}

function set(config, [key, ...rest], value) {
  if (rest.length) set((config[key] ??= {}), rest, value);
  else config[key] = value;
}

const numbered = ([, text]) => (Number.isFinite(Number(text)) ? Number(text) : null);
const named = (format, labels) => (format === "__auto" ? "Value" : format.replace(/{{(\w+)}}/g, (_, key) => labels[key] ?? ""));

function graph({ panel, frames, range, width, height }) {
  const { legend } = panel.options;
  return <TimeSeries {...{ frames, width, height, legend }} timeRange={range} timeZone="utc" structureRev={1} />;
}

function stat({ panel, frames: [frame], range, width, height }) {
  const [x, y] = frame.fields;
  const timeline = true;
  const value = y.display(reduceField({ field: y, reducers: panel.options.reduceOptions.calcs }).lastNotNull);
  const sparkline = { x: { ...x, config: {} }, y, timeline, timeRange: range };
  return <BigValue {...{ value, sparkline, width, height }} theme={THEME} {...panel.options} />;
}
