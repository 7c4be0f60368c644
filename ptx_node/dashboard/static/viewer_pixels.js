// Pictures and masks of a study as the node sends them: fetched, kept within bounds, turned into pixels and outlines.
"use strict";
window.ptxPixels = (() => {
  const KEPT_BYTES = 192e6;

  class Told extends Error {} // words of the node, to be shown as they are

  const words = async (answer) => {
    if (answer.status === 401) return "You are no longer signed in. Load the page anew.";
    try { return String((await answer.json()).detail); } catch { return `The node answered ${answer.status}.`; }
  };

  const fetched = async (address, signal) => {
    let answer;
    try {
      answer = await fetch(address, { signal, credentials: "same-origin", cache: "no-store" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Told("The node does not answer.");
    }
    if (!answer.ok) throw new Told(await words(answer));
    return answer;
  };

  // The newest of what was fetched, within a bound, so that 300 slices or a few large radiographs do not fill a browser.
  class Kept {
    constructor() { this.map = new Map(); this.bytes = 0; }
    get(key) {
      const found = this.map.get(key);
      if (found) { this.map.delete(key); this.map.set(key, found); }
      return found;
    }
    has(key) { return this.map.has(key); }
    put(key, value) {
      if (this.map.has(key)) return;
      this.map.set(key, value);
      this.bytes += value.bytes;
      for (const [oldest, one] of this.map) {
        if (this.bytes <= KEPT_BYTES || oldest === key) break;
        this.map.delete(oldest);
        this.bytes -= one.bytes;
      }
    }
  }

  const LITTLE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

  const picture = async (address, signal) => {
    const answer = await fetched(address, signal);
    const told = JSON.parse(answer.headers.get("X-Ptx-Picture"));
    const buffer = await answer.arrayBuffer();
    if (buffer.byteLength !== 2 * told.rows * told.columns) throw new Told("The picture came incomplete. Try again.");
    if (!LITTLE) new Uint16Array(buffer).forEach((one, at, all) => { all[at] = (one >> 8) | (one << 8); });
    const values = told.kind === "hounsfield" ? new Int16Array(buffer) : new Uint16Array(buffer);
    return { ...told, values, bytes: buffer.byteLength };
  };

  const mask = async (address, signal) => {
    const answer = await fetched(address, signal);
    if (answer.status === 204) return { rows: 0, columns: 0, bits: new Uint8Array(0), bytes: 0 };
    const told = JSON.parse(answer.headers.get("X-Ptx-Picture"));
    const bits = new Uint8Array(await answer.arrayBuffer());
    if (bits.length !== Math.ceil(told.rows * told.columns / 8)) throw new Told("The mask came incomplete. Try again.");
    return { ...told, bits, bytes: bits.length };
  };

  const drawn = async (address, signal) => (await (await fetched(address, signal)).json()).images;

  // Grey of every word under a window from `low` (black) to `high` (white), as pixels of a canvas.
  const greys = (kind, low, high, inverted) => {
    const table = new Uint32Array(65536);
    const span = Math.max(high - low, 1e-9);
    for (let word = 0; word < 65536; word++) {
      const value = kind === "hounsfield" && word > 32767 ? word - 65536 : word;
      const share = Math.min(1, Math.max(0, (value - low) / span));
      const grey = Math.round(255 * (inverted ? 1 - share : share));
      table[word] = LITTLE ? 0xff000000 | (grey << 16) | (grey << 8) | grey : (grey << 24) | (grey << 16) | (grey << 8) | 0xff;
    }
    return table;
  };

  const paint = (shown, table, canvas) => {
    if (canvas.width !== shown.columns || canvas.height !== shown.rows) { canvas.width = shown.columns; canvas.height = shown.rows; }
    const context = canvas.getContext("2d");
    const strip = Math.max(1, Math.floor(4e6 / shown.columns)); // rows at once: a 4k picture never needs its whole size twice
    const words = new Uint16Array(shown.values.buffer);
    for (let top = 0; top < shown.rows; top += strip) {
      const rows = Math.min(strip, shown.rows - top);
      const image = context.createImageData(shown.columns, rows);
      const out = new Uint32Array(image.data.buffer);
      const from = top * shown.columns;
      for (let at = 0; at < out.length; at++) out[at] = table[words[from + at]];
      context.putImageData(image, 0, top);
    }
  };

  const paintMask = (drawn, colour, canvas) => {
    canvas.width = drawn.columns;
    canvas.height = drawn.rows;
    const context = canvas.getContext("2d");
    const strip = Math.max(1, Math.floor(4e6 / drawn.columns));
    for (let top = 0; top < drawn.rows; top += strip) {
      const rows = Math.min(strip, drawn.rows - top);
      const image = context.createImageData(drawn.columns, rows);
      const from = top * drawn.columns;
      for (let at = 0; at < rows * drawn.columns; at++) {
        const bit = from + at;
        if (drawn.bits[bit >> 3] & (128 >> (bit & 7))) image.data.set([...colour, 255], 4 * at);
      }
      context.putImageData(image, 0, top);
    }
  };

  // The border of the mask as lines between pixels, in the image's own units: as sharp when magnified as when the picture is small.
  const outline = (drawn) => {
    const { rows, columns, bits } = drawn;
    const path = new Path2D();
    const inside = (row, column) => {
      if (row < 0 || column < 0 || row >= rows || column >= columns) return 0;
      const bit = row * columns + column;
      return bits[bit >> 3] & (128 >> (bit & 7)) ? 1 : 0;
    };
    const runs = (lines, length, differs, line) => {
      for (let at = 0; at <= lines; at++) {
        let begun = -1;
        for (let along = 0; along <= length; along++) {
          const edge = along < length && differs(at, along);
          if (edge && begun < 0) begun = along;
          if (!edge && begun >= 0) { line(at, begun, along); begun = -1; }
        }
      }
    };
    runs(rows, columns, (row, column) => inside(row - 1, column) !== inside(row, column),
      (row, from, to) => { path.moveTo(from, row); path.lineTo(to, row); });
    runs(columns, rows, (column, row) => inside(row, column - 1) !== inside(row, column),
      (column, from, to) => { path.moveTo(column, from); path.lineTo(column, to); });
    return path;
  };

  // What one hand drew on the images of a series, the model's or a reader's: the mask of one image at a time, in a colour of its own.
  class Layer {
    constructor(colour, dash) {
      Object.assign(this, { colour, dash, at: null, counts: {}, mask: null, path: null, kept: new Kept(), sheet: document.createElement("canvas") });
    }
    // `at`: the address of the segmentation, or null for none.
    async take(at) {
      Object.assign(this, { at, counts: {}, mask: null });
      if (at) this.counts = await drawn(`${at}/drawn`);
    }
    async of(number, signal) {
      if (!this.at || !this.counts[number]) return null;
      const key = `${this.at}/masks/${number}`;
      if (!this.kept.has(key)) this.kept.put(key, await mask(key, signal));
      return this.kept.get(key);
    }
    show(found) {
      this.mask = found;
      if (!found) return;
      paintMask(found, this.colour, this.sheet);
      this.path = outline(found);
    }
    draw(context, { zoom, fill, contour, opacity }) {
      if (!this.mask) return;
      if (fill) {
        context.imageSmoothingEnabled = zoom < 1;
        context.globalAlpha = opacity;
        context.drawImage(this.sheet, 0, 0);
        context.globalAlpha = 1;
      }
      if (contour) {
        context.strokeStyle = `rgb(${this.colour.join(" ")})`;
        context.lineWidth = 1.6 * devicePixelRatio / zoom;
        context.setLineDash(this.dash.map((length) => length * devicePixelRatio / zoom));
        context.stroke(this.path);
        context.setLineDash([]);
      }
    }
  }

  return { Told, Kept, Layer, picture, greys, paint };
})();
