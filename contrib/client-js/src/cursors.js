// SPDX-License-Identifier: MIT
// How far this device has come in each room: decides what is new. Pure; it
// neither sends nor stores.

// A `resume` has at most 1 MiB.
const RESUME_ROOMS = 8000;
// Messages that came with a rev, of which an edit may be told again.
const HELD = 256;

function isNumber(n) {
  return Number.isSafeInteger(n) && n >= 0;
}

/** What a storage held, or null if it is nothing of ours. */
export function readPositions(text) {
  let kept;
  try {
    kept = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof kept?.epoch !== 'string' || typeof kept.rooms !== 'object' ||
      kept.rooms === null) return null;
  const rooms = {};
  for (const [id, p] of Object.entries(kept.rooms)) {
    if (!isNumber(p?.seq)) continue;
    rooms[id] = { seq: p.seq };
    if (isNumber(p.rev)) rooms[id].rev = p.rev;
  }
  return { epoch: kept.epoch, rooms };
}

function higher(a, b) {
  return a === undefined ? b : b === undefined ? a : Math.max(a, b);
}

/** Ours over what was kept: the higher position of each room, without the
 * rooms that were left, unless the kept ones are of another database. */
export function mergePositions(kept, { epoch, rooms, left }) {
  const out = { epoch, rooms: {} };
  const theirs = kept?.epoch === epoch ? kept.rooms : {};
  for (const [id, p] of Object.entries({ ...theirs, ...rooms })) {
    if (left.has(id)) continue;
    out.rooms[id] = { seq: higher(theirs[id]?.seq, p.seq) };
    const rev = higher(theirs[id]?.rev, p.rev);
    if (rev !== undefined) out.rooms[id].rev = rev;
  }
  return out;
}

export class Cursors {
  epoch = null;
  // Those that changed last stand last.
  #rooms = new Map();
  #left = new Set();

  load({ epoch, rooms }) {
    this.reset(epoch);
    for (const [id, p] of Object.entries(rooms)) this.#rooms.set(id, { ...p });
  }

  reset(epoch) {
    this.epoch = epoch;
    this.#rooms.clear();
    this.#left.clear();
  }

  /** A new connection: what was asked for on the old one will not come. */
  reconnected() {
    for (const p of this.#rooms.values()) {
      p.healing = false;
      p.jump = false;
    }
  }

  #moved(id, p) {
    this.#rooms.delete(id);
    this.#rooms.set(id, p);
    this.#left.delete(id);
  }

  /** A message: 'new', 'old' (to be dropped), or 'hole' (something before
   * it is missing, and it is to be dropped too). */
  message({ room_id: id, seq, rev }) {
    const p = this.#rooms.get(id) ?? { jump: true, seq: 0 };
    if (seq <= p.seq) return 'old';
    if (seq !== p.seq + 1 && !p.jump) return 'hole';
    p.seq = seq;
    p.jump = false;
    if (rev !== undefined) {
      p.held ??= new Map();
      p.held.set(seq, rev);
      if (p.held.size > HELD) p.held.delete(p.held.keys().next().value);
    }
    this.#moved(id, p);
    return 'new';
  }

  /** An edit or deletion: whether it is news. */
  change({ room_id: id, seq, rev }) {
    const p = this.#rooms.get(id);
    // Of a room of which nothing came yet, or of a message still to come.
    if (!p) return true;
    if (rev <= (p.rev ?? 0)) return false;
    const known = rev <= (p.held?.get(seq) ?? 0);
    p.rev = rev;
    this.#moved(id, p);
    return !known;
  }

  /** Messages up to `to` are gone. */
  gap({ room_id: id, to }) {
    const p = this.#rooms.get(id) ?? { seq: 0 };
    if (to < p.seq) return;
    p.seq = to;
    this.#moved(id, p);
  }

  /** What comes next need not follow what came last. */
  joined(id) {
    const p = this.#rooms.get(id);
    if (p) p.jump = true;
  }

  left(id) {
    this.#rooms.delete(id);
    this.#left.add(id);
  }

  /** Takes the positions over; returns the rooms of which ours is behind. */
  heads(heads) {
    const behind = [];
    for (const [id, head] of Object.entries(heads)) {
      const p = this.#rooms.get(id);
      if (!p) {
        this.#rooms.set(id, { seq: head.seq, rev: head.rev });
        this.#left.delete(id);
        continue;
      }
      p.rev = higher(p.rev, head.rev);
      if (p.seq < head.seq) behind.push(id);
    }
    return behind;
  }

  /** Marks a room as asked for again; false if it is already. */
  heal(id) {
    const p = this.#rooms.get(id);
    if (!p || p.healing) return null;
    p.healing = true;
    return { after_seq: p.seq, rev: p.rev ?? 0 };
  }

  healed(id, given) {
    const p = this.#rooms.get(id);
    if (!p) return;
    p.healing = false;
    // What cannot be had again must not hold up what follows.
    if (!given) p.jump = true;
  }

  #positions(entries) {
    const out = {};
    for (const [id, p] of entries) {
      out[id] = p.rev === undefined ? { seq: p.seq }
        : { seq: p.seq, rev: p.rev };
    }
    return out;
  }

  /** For a resume. Where rev is unknown, because the first connection ended
   * before sync.complete, all changes are asked for. */
  resume() {
    const out = this.#positions([...this.#rooms].slice(-RESUME_ROOMS));
    for (const p of Object.values(out)) p.rev ??= 0;
    return out;
  }

  copy() {
    const rooms = this.#positions(this.#rooms);
    for (const p of Object.values(rooms)) p.rev ??= 0;
    return { epoch: this.epoch, rooms };
  }

  /** For the storage. */
  take() {
    return {
      epoch: this.epoch,
      rooms: this.#positions(this.#rooms),
      left: new Set(this.#left),
    };
  }
}
