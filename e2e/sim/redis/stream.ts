// SPDX-License-Identifier: Apache-2.0

/** Position in a stream: milliseconds and a counter. */
type Id = readonly [ms: number, n: number];

export interface StreamEntry {
  readonly id: string;
  readonly fields: readonly string[];
}

/** One entry that a consumer was given and has not acknowledged. */
export interface Pending {
  consumer: string;
  deliveredAtMs: number;
  deliveries: number;
}

/** A consumer group. */
export interface Group {
  lastId: string;
  pending: Map<string, Pending>;
}

/** A stream of Redis with its consumer groups. */
export class Stream {
  entries: StreamEntry[] = [];
  readonly groups = new Map<string, Group>();
  #last: Id = [0, 0];

  /** Appends; the id is `nowMs` and a counter. */
  add(fields: readonly string[], nowMs: number): string {
    const [lastMs, lastN] = this.#last;
    this.#last = nowMs > lastMs ? [nowMs, 0] : [lastMs, lastN + 1];
    const id = this.#last.join("-");
    this.entries.push({ id, fields });
    return id;
  }

  get lastId(): string {
    return this.#last.join("-");
  }

  find(id: string): StreamEntry | undefined {
    return this.entries.find((entry) => entry.id === id);
  }

  after(id: string, count: number): StreamEntry[] {
    return this.entries.filter((entry) => compareIds(entry.id, id) > 0).slice(0, count);
  }

  range(from: string, to: string, count: number): StreamEntry[] {
    return this.entries.filter(({ id }) => isWithin(id, from, to)).slice(0, count);
  }

  remove(ids: readonly string[]): number {
    const before = this.entries.length;
    const gone = new Set(ids);
    this.entries = this.entries.filter(({ id }) => !gone.has(id));
    return before - this.entries.length;
  }

  trimTo(length: number): number {
    const over = Math.max(0, this.entries.length - length);
    this.entries = this.entries.slice(over);
    return over;
  }

  trimBelow(id: string): number {
    const before = this.entries.length;
    this.entries = this.entries.filter((entry) => compareIds(entry.id, id) >= 0);
    return before - this.entries.length;
  }
}

export function isWithin(id: string, from: string, to: string): boolean {
  const isExclusive = from.startsWith("(");
  const low = isExclusive ? from.slice(1) : from;
  const above = low === "-" || (isExclusive ? compareIds(id, low) > 0 : compareIds(id, low) >= 0);
  return above && (to === "+" || compareIds(id, to) <= 0);
}

export function compareIds(a: string, b: string): number {
  const [x, y] = [parse(a), parse(b)];
  return x[0] - y[0] || x[1] - y[1];
}

function parse(id: string): Id {
  const [ms = "0", n = "0"] = id.split("-");
  return [Number(ms), Number(n)];
}
