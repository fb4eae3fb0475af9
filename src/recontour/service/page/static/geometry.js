// Rings and slices in mm: what `recontour.geometry` knows, as far as showing them needs it.

/** @typedef {import("./types.js").Grid} Grid */
/** @typedef {import("./types.js").Ring} Ring */
/** @typedef {import("./types.js").Point} Point */
/** @typedef {[number, number]} Span from, to; mm */

/**
 * Return the heights between which each slice stands: half way to its neighbours.
 * @param {number[]} z_mm ascending
 * @returns {number[]} one more than slices
 */
export function heights(z_mm) {
  if (z_mm.length === 1) return [z_mm[0] - 0.5, z_mm[0] + 0.5];
  const between = z_mm.slice(1).map((z, k) => (z + z_mm[k]) / 2);
  const last = z_mm.length - 1;
  return [2 * z_mm[0] - between[0], ...between, 2 * z_mm[last] - between[last - 1]];
}

/** @param {Grid} grid @param {number} z */
export function nearestSlice(grid, z) {
  const edges = heights(grid.slice_z_mm);
  let slice = 0;
  while (slice < grid.shape[0] - 1 && edges[slice + 1] <= z) slice += 1;
  return slice;
}

/**
 * Return the outer edges of the pixels.
 * @param {Grid} grid
 * @returns {{left: number, top: number, width: number, height: number}}
 */
export function extent(grid) {
  const [rowStep, columnStep] = grid.spacing_mm;
  return {
    left: grid.origin_mm[0] - columnStep / 2,
    top: grid.origin_mm[1] - rowStep / 2,
    width: grid.shape[2] * columnStep,
    height: grid.shape[1] * rowStep,
  };
}

/** @param {Ring[]} rings @returns {string} of an SVG path */
export function pathOf(rings) {
  return rings.map((ring) => `M${ring.map(([x, y]) => `${x} ${y}`).join("L")}Z`).join("");
}

/** @param {Point[]} points @returns {string} of an open SVG path */
export function lineOf(points) {
  const path = points.map(([x, y]) => `${x} ${y}`).join("L");
  return points.length === 1 ? `M${path}L${path}` : `M${path}`;
}

/**
 * Return where a line crosses rings, as spans inside them by the even-odd rule.
 * @param {Ring[]} rings
 * @param {0|1} axis of the line: 0 where x is constant, 1 where y is
 * @param {number} at mm
 * @returns {Span[]}
 */
export function cut(rings, axis, at) {
  const other = axis === 0 ? 1 : 0;
  const crossings = [];
  for (const ring of rings) {
    let before = ring[ring.length - 1];
    for (const point of ring) {
      if (before[axis] <= at !== point[axis] <= at) {
        const share = (at - before[axis]) / (point[axis] - before[axis]);
        crossings.push(before[other] + share * (point[other] - before[other]));
      }
      before = point;
    }
  }
  return spans(crossings);
}

/** @param {number[]} ends @returns {Span[]} */
function spans(ends) {
  ends.sort((a, b) => a - b);
  /** @type {Span[]} */
  const found = [];
  for (let i = 0; i + 1 < ends.length; i += 2) found.push([ends[i], ends[i + 1]]);
  return found;
}

/**
 * Return the stretches that are in one of two sets of spans, but not in both.
 * @param {Span[]} some @param {Span[]} others
 */
export function differing(some, others) {
  return spans([...some.flat(), ...others.flat()]);
}

/**
 * Return the middle of the largest ring.
 * @param {Ring[]} rings at least one
 * @returns {Point}
 */
export function middle(rings) {
  const largest = rings.reduce((a, b) => (area(b) > area(a) ? b : a));
  const xs = largest.map((point) => point[0]);
  const ys = largest.map((point) => point[1]);
  return [(Math.min(...xs) + Math.max(...xs)) / 2, (Math.min(...ys) + Math.max(...ys)) / 2];
}

/** @param {Ring} ring @returns {number} mm2 */
function area(ring) {
  let twice = 0;
  let before = ring[ring.length - 1];
  for (const point of ring) {
    twice += before[0] * point[1] - point[0] * before[1];
    before = point;
  }
  return Math.abs(twice) / 2;
}

/** @param {Ring[]} rings @returns {number} mm2, where rings in rings are holes of one level */
export function areaOf(rings) {
  return Math.max(0, ...rings.map(area));
}

/** @param {Ring[]} some @param {Ring[]} others @returns {boolean} whether they are equal, point for point */
export function isSame(some, others) {
  if (some.length !== others.length) return false;
  return some.every((ring, i) => {
    const other = others[i];
    if (ring.length !== other.length) return false;
    return ring.every((point, j) => point[0] === other[j][0] && point[1] === other[j][1]);
  });
}
