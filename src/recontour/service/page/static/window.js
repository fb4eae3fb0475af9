// Which HU are black, which are white.

/** @typedef {{centre: number, width: number}} Window */
/** @type {{name: string, key: string, window: Window}[]} */
export const PRESETS = [
  { name: "Soft", key: "1", window: { centre: 40, width: 400 } },
  { name: "Bone", key: "2", window: { centre: 400, width: 1800 } },
  { name: "Lung", key: "3", window: { centre: -550, width: 1500 } },
  { name: "Brain", key: "4", window: { centre: 40, width: 80 } },
];
const HALF = 32768;
const OPAQUE = 0xff000000;

/**
 * Return the pixel of each HU: `table[hu + 32768]`, for an image's buffer read as Uint32.
 * @param {Window} window
 */
export function greys({ centre, width }) {
  const table = new Uint32Array(2 * HALF);
  const lowest = centre - width / 2;
  for (let i = 0; i < table.length; i += 1) {
    const share = (i - HALF - lowest) / width;
    const grey = Math.round(255 * Math.min(1, Math.max(0, share)));
    table[i] = (OPAQUE | (grey << 16) | (grey << 8) | grey) >>> 0;
  }
  return table;
}

/**
 * Return a window dragged by so many pixels: sideways its width, up and down its centre.
 * @param {Window} window @param {number} right @param {number} down
 * @returns {Window}
 */
export function dragged(window, right, down) {
  const pace = Math.max(1, window.width / 300);
  const width = Math.max(1, Math.round(window.width + right * pace));
  return { centre: Math.round(window.centre + down * pace), width };
}
