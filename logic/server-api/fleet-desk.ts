// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { EntryStream } from "../grpc/entry-stream.ts";

/** An entry reports every 2 s: one that was silent for so long stands still, or cannot be heard. */
const SILENT_MS = 10_000;

/** States of an entry, as people are shown them. */
export const ENTRY_STATES = ["serving", "cordoned", "draining", "silent", "unknown"] as const;

/** How far a drain is. */
export interface ShownDrain {
  readonly initial: number;
  readonly asked: number;
  readonly waiting: number;
  readonly forced: number;
}

/** An entry as the API shows it. */
export interface ShownEntry {
  readonly name: string;
  readonly incarnation: string;
  readonly version: string;
  /** `silent`: attached, and nothing was heard for 10 s; `unknown`: it never said how it is. */
  readonly state: (typeof ENTRY_STATES)[number];
  readonly connections: number;
  readonly sessions: number;
  readonly logics: number;
  readonly logins: number;
  readonly answerP99Ms: number;
  /** When it last said how it is; 0 when it never did. */
  readonly reportedAtMs: number;
  /** While it drains, and after that. */
  readonly drain?: ShownDrain;
}

/** A page of the fleet, with sums over all of it. */
export interface ShownFleet {
  readonly logic: string;
  readonly entries: readonly ShownEntry[];
  readonly total: { readonly entries: number; readonly connections: number; readonly sessions: number };
  /** What is behind `after` of the next page; undefined: that was all. */
  readonly next: number | undefined;
}

/** What {@link FleetDesk} needs. */
export interface FleetDeskPorts {
  /** Of this process. */
  name: string;
  entries: Iterable<Pick<EntryStream, "name" | "incarnation" | "version" | "isClosed" | "report">>;
  clock: Pick<Clock, "nowMs">;
}

/** The entries that this logic hears of: each entry keeps a stream to each logic, so these are all of them. */
export class FleetDesk {
  readonly #ports: FleetDeskPorts;

  constructor(ports: FleetDeskPorts) {
    this.#ports = ports;
  }

  /** In the order in which they were started, those with numbers above `after`. */
  list(after: number, limit: number): ShownFleet {
    const all = this.#all();
    const behind = all.filter(({ number }) => number > after);
    const page = behind.slice(0, limit);
    const sum = (of: (entry: ShownEntry) => number): number => all.reduce((total, { entry }) => total + of(entry), 0);
    return {
      logic: this.#ports.name,
      entries: page.map(({ entry }) => entry),
      total: {
        entries: all.length,
        connections: sum(({ connections }) => connections),
        sessions: sum(({ sessions }) => sessions),
      },
      next: behind.length > page.length ? page.at(-1)?.number : undefined,
    };
  }

  #all(): { number: number; entry: ShownEntry }[] {
    const nowMs = this.#ports.clock.nowMs();
    // One that attached again may have an older stream yet: the newer one comes later.
    const found = new Map<string, ShownEntry>();
    for (const stream of this.#ports.entries)
      if (stream.incarnation !== "" && !stream.isClosed) found.set(stream.incarnation, shownEntry(stream, nowMs));
    return [...found.values()]
      .map((entry) => ({ number: numberOf(entry.incarnation), entry }))
      .sort((a, b) => a.number - b.number);
  }
}

/** `<pod uid>.<number of the start>` */
function numberOf(incarnation: string): number {
  return Number(incarnation.slice(incarnation.lastIndexOf(".") + 1)) || 0;
}

type Told = Pick<EntryStream, "name" | "incarnation" | "version" | "report">;

function shownEntry({ name, incarnation, version, report }: Told, nowMs: number): ShownEntry {
  const named = { name, incarnation, version };
  if (!report) return { ...named, state: "unknown", ...NOTHING };
  const { connections, sessions, uplinks: logics, logins, answerP99Ms, draining, cordoned } = report.status;
  const { drainInitial: initial, drainAsked: asked, drainWaiting: waiting, drainForced: forced } = report.status;
  const told = draining ? "draining" : cordoned ? "cordoned" : "serving";
  return {
    ...named,
    state: nowMs - report.atMs > SILENT_MS ? "silent" : told,
    ...{ connections, sessions, logics, logins, answerP99Ms, reportedAtMs: report.wallMs },
    ...(draining ? { drain: { initial, asked, waiting, forced } } : {}),
  };
}

const NOTHING = { connections: 0, sessions: 0, logics: 0, logins: 0, answerP99Ms: 0, reportedAtMs: 0 } as const;
