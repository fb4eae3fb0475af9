// What the server sends: the shapes of its JSON.

/**
 * A point in the patient, mm: x grows to the patient's left, y to the back.
 * @typedef {[number, number]} Point
 */
/** @typedef {Point[]} Ring */
/**
 * The rings of one organ by slice number. Within a slice the even-odd rule holds: a ring in a ring
 * is a hole.
 * @typedef {Record<string, Ring[]>} Slices
 */
/** @typedef {Record<string, Slices>} Contours */
/**
 * Where the voxels lie. Index 0, 0 is the centre of the first pixel; slices ascend to the head.
 * @typedef {{shape: [number, number, number], spacing_mm: [number, number],
 *   slice_z_mm: number[], origin_mm: [number, number]}} Grid
 */
/** @typedef {{organ: string, roi_name: string, colour: string, remark: string}} LayerOrgan */
/** @typedef {{id: string, kind: "draft"|"approved"|"returned", label: string, organs: LayerOrgan[]}} LayerFacts */
/** @typedef {{who: string, until: number}} Lock */
/**
 * @typedef {{id: number, patient_name: string, patient_id: string, description: string, grid: Grid,
 *   layers: LayerFacts[], draft_id: number|null, draft_uid: string|null,
 *   review_order: {organ: string, reasons: string[]}[], findings: string[], lock: Lock|null,
 *   may: {edit: boolean, approve: boolean}, me: string}} SeriesFacts
 */
/**
 * @typedef {{revision: number, contours: Contours, can_undo: boolean, can_redo: boolean,
 *   edited: string[]}} WorkingFacts
 */
/**
 * @typedef {{revision: number, changed: Contours, can_undo: boolean, can_redo: boolean}} Answer
 */
/**
 * What became of an approval.
 * @typedef {{layer: string, destinations: string[], findings: string[]}} Approved
 */
/**
 * One stroke, as the server takes it.
 * @typedef {{kind: "brush", add: boolean, slice: number, reach: number, path_mm: Point[],
 *     radius_mm: number}
 *   | {kind: "polygon", add: boolean, slice: number, points_mm: Point[]}
 *   | {kind: "nudge", slice: number|null, by_mm: Point}
 *   | {kind: "interpolate", first: number, last: number}
 *   | {kind: "delete", slice: number, where: "here"|"above"|"below"}
 *   | {kind: "copy", layer: string, slices: number[]|null}} Op
 */
/** @typedef {{id: number, kind: string, state: string, words: string}} JobRow */
/** @typedef {{sender: string, at: number, review: string, label: string}} Returned */
/**
 * @typedef {{id: number, patient_name: string, patient_id: string, description: string,
 *   received_at: number, slices: number, state: string, words: string, organs: number,
 *   look_first: string[], draft_id: number|null, approved_at: number|null,
 *   approved_by: string|null, returned: Returned|null,
 *   jobs: JobRow[]}} SeriesRow
 */
/**
 * @typedef {{id: number, number: number, state: string, made_at: number,
 *   promoted_at: number|null, promoted_by: string|null, has_report: boolean,
 *   words: string}} VersionRow
 */
/**
 * @typedef {{name: string, versions: VersionRow[], corrected: number, aside: number, new: number,
 *   learning: string}} ModelRow
 */

export {};
