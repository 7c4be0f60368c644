// Draws every [data-chart]: {labels: [...], series: [{name, values, colour, dash}]}, colours named by the style sheet.
"use strict";
(() => {
  const drawn = new Map();
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const options = (box, data) => {
    const ink = colour("--muted");
    const grid = { stroke: colour("--line"), width: 1 };
    const small = box.clientWidth < 480;
    const font = "12px system-ui, sans-serif";
    return {
      width: box.clientWidth,
      height: small ? 180 : 220,
      padding: [8, 8, 0, 0],
      cursor: { points: { size: 6 }, drag: { x: false, y: false } },
      legend: { live: true },
      scales: { x: { time: false }, y: { range: (_u, _low, high) => [0, Math.max(4, Math.ceil(high * 1.1))] } },
      axes: [
        { stroke: ink, grid, ticks: grid, font, incrs: [1, 2, 3, 4, 6, 12], space: small ? 48 : 44,
          values: (_u, at) => at.map((i) => data.labels[i] ?? "") },
        { stroke: ink, grid, ticks: grid, font, size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000] },
      ],
      series: [
        { label: data.x, value: (_u, i) => data.labels[i] ?? "–" },
        ...data.series.map((one) => ({
          label: one.name, stroke: colour(one.colour), width: 2, dash: one.dash, points: { show: true, size: 4 },
          value: (_u, v) => v ?? "–",
        })),
      ],
    };
  };

  const draw = () => {
    for (const [box, chart] of drawn) if (!box.isConnected) { chart.destroy(); drawn.delete(box); }
    for (const box of document.querySelectorAll("[data-chart]")) {
      const data = JSON.parse(box.dataset.chart);
      drawn.get(box)?.destroy();
      box.replaceChildren();
      drawn.set(box, new uPlot(options(box, data), [data.labels.map((_l, i) => i), ...data.series.map((s) => s.values)], box));
    }
  };

  let width = 0;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; draw(); } });
  document.addEventListener("DOMContentLoaded", () => { width = innerWidth; draw(); });
  document.addEventListener("ptx:theme", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  document.addEventListener("htmx:afterSettle", draw);
})();
