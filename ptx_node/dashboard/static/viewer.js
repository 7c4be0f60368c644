// The picture of a study: window, zoom, slices and the mask that the model drew, by mouse, touch and keys.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const box = document.getElementById("viewer");
  if (!box || !box.dataset.view) return;
  const view = JSON.parse(box.dataset.view);
  const { Told, Kept, Layer, picture, greys, paint } = window.ptxPixels;
  const part = (name) => document.getElementById(`v-${name}`);
  const canvas = part("canvas");
  const context = canvas.getContext("2d");
  const model = new Layer([255, 138, 0], []), hand = new Layer([64, 200, 255], [6, 4]);
  const WINDOWS = {
    brightness: [["As the model saw it", 0, 65535]],
    hounsfield: [["Lung (W 1500, L −600)", -1350, 150, "l"], ["Soft tissue (W 400, L 40)", -160, 240, "t"], ["Bone (W 2000, L 500)", -500, 1500]],
  };
  const ZOOMS = { least: 0.02, most: 32 };
  const pictures = new Kept();
  const base = document.createElement("canvas");
  const now = {
    series: null, place: 0, shown: null,
    low: 0, high: 65535, kind: "", inverted: false, zoom: 1, x: 0, y: 0, whole: true, moves: matchMedia("(pointer: coarse)").matches,
  };
  const address = (rest) => `/api/v1/studies/${view.study}/${rest}`;
  let fetching = null, frame = 0, dirty = false;

  // ---- drawing ------------------------------------------------------------------------------------------------
  const aspect = () => (now.shown?.spacing_mm ? now.shown.spacing_mm[0] / now.shown.spacing_mm[1] : 1);
  const later = (repaint = false) => {
    dirty ||= repaint;
    if (!frame) frame = requestAnimationFrame(draw);
  };

  const fit = () => {
    if (!now.shown) return;
    const { rows, columns } = now.shown;
    now.zoom = Math.min(canvas.width / columns, canvas.height / (rows * aspect()));
    now.x = (canvas.width - columns * now.zoom) / 2;
    now.y = (canvas.height - rows * aspect() * now.zoom) / 2;
  };

  function draw() {
    frame = 0;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (!now.shown) return;
    if (dirty) paint(now.shown, greys(now.kind, now.low, now.high, now.inverted), base);
    dirty = false;
    if (now.whole) fit();
    context.setTransform(now.zoom, 0, 0, now.zoom * aspect(), now.x, now.y);
    context.imageSmoothingEnabled = now.zoom !== 1;
    context.imageSmoothingQuality = "high";
    context.drawImage(base, 0, 0);
    const opacity = part("opacity").value / 100;
    hand.draw(context, { zoom: now.zoom, fill: part("hand-fill").checked, contour: part("hand-contour").checked, opacity });
    model.draw(context, { zoom: now.zoom, fill: part("fill").checked, contour: part("contour").checked, opacity });
    tell();
  }

  const size = (count) => {
    const spacing = now.shown.spacing_mm;
    return spacing ? `${Math.round(count * spacing[0] * spacing[1])} mm²` : `${count} pixels`;
  };

  const tell = () => {
    const percent = now.kind === "brightness";
    const number = (value) => (percent ? `${Math.round(value / 655.35)} %` : `${String(Math.round(value)).replace("-", "−")} HU`);
    const parts = [`Window ${number(now.high - now.low)}, level ${number((now.high + now.low) / 2)}`, `zoom ${Math.round(100 * now.zoom)} %`];
    const slices = now.series.ordered ? now.series.images.length : 0;
    if (slices) parts.push(`slice ${now.place + 1} of ${slices}`);
    const told = (layer, words) => {
      const count = layer.counts[now.series.images[now.place]];
      return count ? `${words} ${size(count)}` : "";
    };
    parts.push(model.at === null ? "no mask" : told(model, "mask") || "nothing drawn here");
    if (hand.at !== null) parts.push(told(hand, "by hand") || "nothing by hand here");
    part("state").textContent = parts.join(" · ");
    part("corner").textContent = `${now.shown.columns} × ${now.shown.rows}${now.inverted ? " · inverted" : ""}`;
    const right = now.shown.columns_to;
    part("right").textContent = right;
    part("left").textContent = { L: "R", R: "L" }[right] ?? "";
    Object.assign(canvas.dataset, { zoom: now.zoom, x: now.x, y: now.y, low: now.low, high: now.high, place: now.place });
  };

  const problem = (text) => {
    part("problem").textContent = text;
    part("problem").hidden = !text;
  };

  // ---- fetching -----------------------------------------------------------------------------------------------
  const images = () => now.series.images;
  const pictureAt = async (place, signal) => {
    const number = images()[place];
    if (!pictures.has(number)) pictures.put(number, await picture(address(`images/${number}/pixels`), signal));
    return pictures.get(number);
  };
  const load = async () => {
    fetching?.abort();
    const mine = fetching = new AbortController();
    const place = now.place;
    const patience = setTimeout(() => { part("busy").hidden = false; }, 150);
    canvas.dataset.ready = "";
    try {
      const shown = await pictureAt(place, mine.signal);
      if (mine.signal.aborted) return;
      const changed = now.kind !== shown.kind;
      now.shown = shown;
      if (changed) choose(shown.kind);
      problem("");
      model.show(null);
      hand.show(null);
      later(true);
      for (const [layer, whose] of [[model, "mask"], [hand, "reader's mask"]]) {
        try {
          const found = await layer.of(images()[place], mine.signal);
          if (mine.signal.aborted) return;
          if (found && (found.rows !== shown.rows || found.columns !== shown.columns)) {
            problem(`The ${whose} has ${found.columns} × ${found.rows} pixels, the picture ${shown.columns} × ${shown.rows}: it is not drawn.`);
          } else layer.show(found);
        } catch (error) {
          if (!(error instanceof Told)) throw error;
          problem(error.message);
        }
      }
      later();
      canvas.dataset.ready = String(place);
      if (now.series.ordered) await ahead(place, mine.signal);
    } catch (error) {
      if (error.name === "AbortError") return;
      now.shown = null;
      problem(error instanceof Told ? error.message : "This picture cannot be drawn in this browser.");
      later();
    } finally {
      clearTimeout(patience);
      if (fetching === mine) part("busy").hidden = true;
    }
  };

  // The neighbours of a slice, one after the other, while nobody asks for another one.
  const ahead = async (place, signal) => {
    part("busy").hidden = true;
    for (const other of [place + 1, place - 1, place + 2, place + 3]) {
      if (other < 0 || other >= images().length || signal.aborted) continue;
      try { await pictureAt(other, signal); } catch { return; }
    }
  };

  // ---- choices ------------------------------------------------------------------------------------------------
  const choose = (kind) => {
    now.kind = kind;
    part("window").replaceChildren(...WINDOWS[kind].map(([name], at) => new Option(name, at)), new Option("By hand", ""));
    preset(0);
  };
  const preset = (at) => {
    [, now.low, now.high] = WINDOWS[now.kind][at];
    part("window").value = String(at);
    later(true);
  };
  const windowTo = (level, width) => {
    const [least, most, narrowest] = now.kind === "brightness" ? [0, 65535, 650] : [-1024, 3071, 10];
    const kept = Math.min(Math.max(width, narrowest), 2 * (most - least));
    const middle = Math.min(Math.max(level, least), most);
    now.low = middle - kept / 2;
    now.high = middle + kept / 2;
    part("window").value = "";
    later(true);
  };
  const nudge = (levels, widths) => {
    const width = now.high - now.low, step = now.kind === "brightness" ? 65535 * 0.03 : 25;
    windowTo((now.low + now.high) / 2 + levels * step, width * 1.12 ** widths);
  };
  const zoomBy = (factor, x = canvas.width / 2, y = canvas.height / 2) => zoomTo(now.zoom * factor, x, y);
  const zoomTo = (zoom, x = canvas.width / 2, y = canvas.height / 2) => {
    const kept = Math.min(Math.max(zoom, ZOOMS.least), ZOOMS.most);
    now.x = x - (x - now.x) * kept / now.zoom;
    now.y = y - (y - now.y) * kept / now.zoom;
    if (kept === 1) { now.x = Math.round(now.x); now.y = Math.round(now.y); }
    now.zoom = kept;
    now.whole = false;
    later();
  };
  const move = (x, y) => { now.x += x; now.y += y; now.whole = false; later(); };
  const whole = () => { now.whole = true; later(); };
  const press = (name, on) => part(name).setAttribute("aria-pressed", String(on));
  const invert = () => { now.inverted = !now.inverted; press("invert", now.inverted); later(true); };
  const tick = (name) => { part(name).checked = !part(name).checked; later(); };
  const reset = () => { now.inverted = false; press("invert", false); if (now.kind) preset(0); whole(); };

  const slice = (place) => {
    const kept = Math.min(Math.max(place, 0), images().length - 1);
    if (kept === now.place && now.shown) return;
    now.place = kept;
    part("slice").value = String(kept + 1);
    part("slice-told").textContent = `${kept + 1} of ${images().length}`;
    return load();
  };
  const fullest = () => {
    const counts = Object.keys(model.counts).length ? model.counts : hand.counts;
    const found = images().map((number, place) => [counts[number] ?? 0, place]).filter(([count]) => count);
    return found.length ? found.sort((a, b) => b[0] - a[0])[0][1] : null;
  };

  const strip = () => {
    const rail = part("strip"), most = Math.max(1, ...Object.values(model.counts)), count = images().length;
    rail.width = Math.max(1, rail.clientWidth);
    rail.height = Math.max(1, rail.clientHeight);
    const pen = rail.getContext("2d");
    pen.fillStyle = getComputedStyle(rail).color;
    images().forEach((number, place) => {
      const share = (model.counts[number] ?? 0) / most;
      if (share) pen.fillRect(place * rail.width / count, rail.height * (1 - share), Math.max(1, rail.width / count), rail.height);
    });
  };

  const findings = () => view.findings.filter((one) => one.mask != null && one.images.some((number) => images().includes(number)));
  const named = (one) => `job ${one.job}: ${one.outcome}${one.probability == null ? "" : ` ${one.probability.toFixed(3)}`}${one.superseded ? ", superseded" : ""}`;

  // What cannot be read is said, and the picture is shown all the same.
  const take = async (layer, at) => {
    try { await layer.take(at); } catch (error) {
      if (!(error instanceof Told)) throw error;
      return error.message;
    }
    return "";
  };
  const takeMasks = async () => {
    const chosen = (name, at) => (part(name).value ? address(at(part(name).value)) : null);
    const told = [
      await take(model, chosen("finding", (number) => `results/${number}`)), await take(hand, chosen("hand", (number) => `readings/${number}`)),
    ].filter(Boolean);
    const start = now.series.ordered ? fullest() : null;
    if (now.series.ordered) strip();
    now.shown = now.kind && now.series.ordered ? now.shown : null;
    const place = start ?? now.place;
    now.place = -1;
    await slice(place);
    if (told.length) problem(told.join(" "));
  };

  const takeSeries = (chosen) => {
    Object.assign(now, { series: chosen, place: Math.floor(chosen.ordered ? chosen.images.length / 2 : 0), shown: null, kind: "", whole: true });
    part("slices").hidden = chosen.images.length < 2;
    part("slices").querySelector("label").textContent = chosen.ordered ? "Slice" : "Image";
    part("slice").max = String(chosen.images.length);
    const found = findings().sort((a, b) => a.superseded - b.superseded || b.finding - a.finding);
    part("finding").replaceChildren(...(found.length ? found.map((one) => new Option(named(one), one.mask)) : [new Option("no mask", "")]));
    takeMasks();
  };

  // ---- by hand ------------------------------------------------------------------------------------------------
  const held = new Map();
  const at = (event) => ({ x: event.offsetX * devicePixelRatio, y: event.offsetY * devicePixelRatio });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    held.set(event.pointerId, { ...at(event), moves: event.button === 1 || event.shiftKey || now.moves });
    if (event.button === 1) event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId);
    if (!before || !now.shown) return;
    const after = at(event), moved = { x: after.x - before.x, y: after.y - before.y };
    const other = [...held].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const length = (one) => Math.hypot(one.x - other.x, one.y - other.y);
      zoomBy(length(after) / Math.max(1, length(before)), (after.x + other.x) / 2, (after.y + other.y) / 2);
      move(moved.x / 2, moved.y / 2);
    } else if (before.moves) {
      move(moved.x, moved.y);
    } else {
      const range = now.kind === "brightness" ? 65535 : 2000, size = Math.max(300, canvas.width);
      windowTo((now.low + now.high) / 2 + moved.y / size * range, now.high - now.low + moved.x / size * range);
    }
    held.set(event.pointerId, { ...before, ...after });
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => held.delete(event.pointerId));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (now.series.ordered && !event.ctrlKey) slice(now.place + Math.sign(event.deltaY));
    else zoomBy(1.15 ** -Math.sign(event.deltaY), at(event).x, at(event).y);
  }, { passive: false });
  const STEP = 60;
  const KEYS = {
    ArrowLeft: () => move(STEP, 0), ArrowRight: () => move(-STEP, 0), ArrowUp: () => move(0, STEP), ArrowDown: () => move(0, -STEP),
    PageUp: () => slice(now.place - 1), PageDown: () => slice(now.place + 1), Home: () => slice(0), End: () => slice(images().length - 1),
    "+": () => zoomBy(1.25), "=": () => zoomBy(1.25), "-": () => zoomBy(0.8), 0: whole, 1: () => zoomTo(1),
    c: () => nudge(0, -1), x: () => nudge(0, 1), b: () => nudge(-1, 0), d: () => nudge(1, 0), i: invert,
    m: () => tick("fill"), o: () => tick("contour"), h: () => tick("hand-fill"), j: () => tick("hand-contour"), r: reset,
    l: () => now.kind === "hounsfield" && preset(0), t: () => now.kind === "hounsfield" && preset(1),
    g: () => { const place = fullest(); if (place !== null) slice(place); },
  };
  const SCROLL = new Set(["PageUp", "PageDown", "Home", "End"]); // also away from a slice that cannot be shown
  canvas.addEventListener("keydown", (event) => {
    const act = KEYS[event.key] ?? KEYS[event.key.toLowerCase()];
    if (!act || (!now.shown && !SCROLL.has(event.key)) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    act();
  });

  const on = (name, kind, act) => part(name).addEventListener(kind, act);
  const drag = () => { press("drag", now.moves); };
  on("drag", "click", () => { now.moves = !now.moves; drag(); });
  on("in", "click", () => zoomBy(1.25));
  on("out", "click", () => zoomBy(0.8));
  on("whole", "click", whole);
  on("one", "click", () => zoomTo(1));
  on("invert", "click", invert);
  on("reset", "click", reset);
  for (const name of ["fill", "contour", "hand-fill", "hand-contour"]) on(name, "change", () => later());
  const opacity = () => { part("opacity-told").textContent = `${part("opacity").value} %`; later(); };
  on("opacity", "input", opacity);
  on("slice", "input", () => slice(Number(part("slice").value) - 1));
  on("series", "change", () => takeSeries(view.pictures[part("series").value]));
  for (const name of ["finding", "hand"]) on(name, "change", takeMasks);
  on("window", "change", () => part("window").value && preset(Number(part("window").value)));

  new ResizeObserver(() => {
    canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
    canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
    if (now.series?.ordered) strip();
    later();
  }).observe(canvas);

  part("series").replaceChildren(...view.pictures.map((one, place) =>
    new Option(`${one.series}: ${one.modality}, ${one.images.length} ${one.images.length === 1 ? "image" : one.ordered ? "slices" : "images"}`, place)));
  part("hand").replaceChildren(...view.reader_masks.toReversed().map((one) => new Option(one.reader, one.reading)), new Option("none", ""));
  part("hand-field").hidden = part("hand-switches").hidden = !view.reader_masks.length;
  const read = new Set(view.findings.filter((one) => one.mask != null).flatMap((one) => one.images));
  const first = Math.max(0, view.pictures.findIndex((one) => one.images.some((number) => read.has(number))));
  part("series").value = String(first);
  drag();
  opacity();
  takeSeries(view.pictures[first]);
});
