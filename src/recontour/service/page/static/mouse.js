// What the mouse does on a plane.
//
// Wheel: through the slices; with Ctrl: zoom. Left: the tool, or the crosshair. Middle, or Shift and
// left: pan. Right: the window.

import { nearestSlice } from "./geometry.js";
import { dragged } from "./window.js";

/** @typedef {import("./planes.js").Plane} Plane */
/** @typedef {import("./look.js").Look} Look */
/** @typedef {import("./tools.js").Tools} Tools */
/** @typedef {import("./types.js").Point} Point */
const NOTCH = 50; // a wheel's pixels for one slice
const LEFT = 0;
const MIDDLE = 1;
const RIGHT = 2;

/**
 * @param {Plane} plane @param {Look} look
 * @param {Tools|null} tools those of the axial plane
 * @param {(slices: number) => void} scroll
 */
export function listen(plane, look, tools, scroll) {
  const { host } = plane;
  /** @type {((event: PointerEvent) => void)|null} */
  let drag = null;

  host.addEventListener("contextmenu", (event) => event.preventDefault());
  host.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    host.focus({ preventScroll: true });
    host.setPointerCapture(event.pointerId);
    drag = beginning(event);
    drag?.(event);
  });
  host.addEventListener("pointermove", (event) => {
    if (drag) drag(event);
    else tools?.move(plane.toMm(event));
  });
  for (const end of ["pointerup", "pointercancel"]) {
    host.addEventListener(end, () => {
      drag = null;
      tools?.up();
    });
  }
  host.addEventListener("dblclick", () => tools?.isOutline && tools.finish());
  host.addEventListener("pointerleave", () => tools?.showPen());

  /** @param {PointerEvent} begun */
  function beginning(begun) {
    let last = begun;
    if (begun.button === MIDDLE || (begun.button === LEFT && begun.shiftKey)) {
      return (/** @type {PointerEvent} */ event) => {
        plane.pan(event.clientX - last.clientX, event.clientY - last.clientY);
        last = event;
      };
    }
    if (begun.button === RIGHT) {
      return (/** @type {PointerEvent} */ event) => {
        const right = event.clientX - last.clientX;
        const down = event.clientY - last.clientY;
        look.set({ window: dragged(look.now.window, right, down) });
        last = event;
      };
    }
    if (begun.button !== LEFT) return null;
    if (!tools || look.now.tool === "look") return cross;
    tools.down(plane.toMm(begun));
    return (/** @type {PointerEvent} */ event) => {
      for (const one of event.getCoalescedEvents?.() ?? []) tools.move(plane.toMm(one));
      tools.move(plane.toMm(event));
    };
  }

  /** @param {PointerEvent} event */
  function cross(event) {
    const [u, v] = plane.toMm(event);
    if (plane.kind === "axial") return look.set({ x: u, y: v });
    const slice = nearestSlice(plane.volume.grid, -v);
    return look.set(plane.kind === "coronal" ? { x: u, slice } : { y: u, slice });
  }

  let turned = 0;
  host.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.ctrlKey) {
      plane.zoomBy(Math.exp(-event.deltaY / 400), plane.toMm(event));
      return;
    }
    const isPixels = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL;
    turned += isPixels ? event.deltaY / NOTCH : Math.sign(event.deltaY);
    const whole = Math.trunc(turned);
    turned -= whole;
    if (!whole) return;
    const steps = Math.sign(whole) * Math.min(Math.abs(whole), isPixels ? 2 : 1);
    if (plane.kind === "axial") scroll(-steps);
    else if (plane.kind === "coronal") look.set({ y: look.now.y + steps * plane.volume.grid.spacing_mm[0] });
    else look.set({ x: look.now.x + steps * plane.volume.grid.spacing_mm[1] });
  }, { passive: false });
}
