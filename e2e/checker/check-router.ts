// SPDX-License-Identifier: Apache-2.0
import { getOrMake } from "./get-or-make.ts";
import type { RouterEvent } from "./history.ts";
import type { IndexedHistory } from "./index-history.ts";
import { type Report, reporter } from "./violation.ts";

/** What is in one register: the route as text, and the login seq that guards it. */
interface Held {
  session: string;
  incarnation: string;
  loginSeq: number;
}

interface Operation {
  event: RouterEvent;
  invokedAtMs: number;
  /** Infinity: the outcome is unknown, it may take effect at any later time, or never. */
  returnedAtMs: number;
  result: string | undefined;
}

/** States a search may visit for one register; beyond it the register counts as correct. */
const MAX_VISITS = 200_000;

/**
 * C12: for each (uid, slot) the history of login, logout, purge and lookup is linearizable as a register that takes a
 * higher login seq only and deletes by comparison. Wing-Gong search per key with Lowe's memory of visited states; the
 * operations of one key must be few (<= 50 overlap little in practice).
 */
export function checkRouterRegister(index: IndexedHistory, report: Report): void {
  const violate = reporter("C12", report);
  for (const [key, operations] of operationsByKey(index)) {
    const [uid, slot] = key.split("\0");
    if (isLinearizable(operations)) continue;
    const last = operations.map(({ event, result }) => `${event.action}=${result ?? "?"}`).slice(-8);
    violate(
      "not linearizable",
      `no order of the operations on ${uid}/${slot} explains their results: ...${last.join(", ")}`,
    );
  }
}

function operationsByKey(index: IndexedHistory): Map<string, Operation[]> {
  const calls = new Map<string, Operation>();
  for (const event of index.others) {
    if (event.op !== "router") continue;
    if (event.kind === "invoke") {
      const open = { event, invokedAtMs: event.atMs, returnedAtMs: Number.POSITIVE_INFINITY, result: undefined };
      calls.set(event.call, open);
    } else if (event.kind === "ok") {
      const call = calls.get(event.call);
      if (!call) continue;
      call.returnedAtMs = event.atMs;
      call.result = event.result;
    }
  }
  const byKey = new Map<string, Operation[]>();
  const global: Operation[] = [];
  for (const call of calls.values()) {
    const { uid, slot } = call.event;
    if (uid === "") {
      global.push(call);
      continue;
    }
    const key = `${uid}\0${slot}`;
    getOrMake(byKey, key, () => []).push(call);
  }
  for (const operations of byKey.values()) {
    operations.push(...global);
    operations.sort((a, b) => a.invokedAtMs - b.invokedAtMs);
  }
  return byKey;
}

function isLinearizable(operations: readonly Operation[]): boolean {
  return new Search(operations).isPossible(0n, 0, undefined);
}

/** Depth first over the orders that real time allows; a state reached by the same set of operations is tried once. */
class Search {
  readonly #operations: readonly Operation[];
  readonly #known: number;
  readonly #seen = new Set<string>();

  constructor(operations: readonly Operation[]) {
    this.#operations = operations;
    this.#known = operations.filter(isKnown).length;
  }

  /** @param done a bit per operation; `completed` of them have a known outcome */
  isPossible(done: bigint, completed: number, held: Held | undefined): boolean {
    if (completed === this.#known) return true;
    const key = `${done}|${held?.session ?? ""}`;
    if (this.#seen.has(key)) return false;
    this.#seen.add(key);
    if (this.#seen.size > MAX_VISITS) return true;
    for (const at of this.#candidates(done)) {
      const operation = this.#operations[at] as Operation;
      const count = completed + Number(isKnown(operation));
      for (const next of apply(operation, held))
        if (this.isPossible(done | (1n << BigInt(at)), count, next.held)) return true;
    }
    return false;
  }

  /** Whoever was invoked after another one returned comes after it. */
  #candidates(done: bigint): number[] {
    const open: number[] = [];
    let earliestReturnMs = Number.POSITIVE_INFINITY;
    for (const [at, { returnedAtMs }] of this.#operations.entries()) {
      if ((done & (1n << BigInt(at))) !== 0n) continue;
      open.push(at);
      earliestReturnMs = Math.min(earliestReturnMs, returnedAtMs);
    }
    return open.filter((at) => (this.#operations[at] as Operation).invokedAtMs <= earliestReturnMs);
  }
}

function isKnown({ returnedAtMs }: Operation): boolean {
  return returnedAtMs !== Number.POSITIVE_INFINITY;
}

const EMPTY: { held: Held | undefined } = { held: undefined };

/** States after the operation that agree with its result; none when the result is impossible here. */
function apply({ event, result }: Operation, held: Held | undefined): { held: Held | undefined }[] {
  const same = { held };
  switch (event.action) {
    case "flush":
      return [EMPTY];
    case "purge":
      return [held && held.incarnation === event.incarnation ? EMPTY : same];
    case "lookup":
      // A route without a lease is not told, so `none` says nothing.
      return result === undefined || result === "none" || result === held?.session ? [same] : [];
    case "logout": {
      const isOwn = held?.session === sessionOf(event);
      if (result !== undefined && (result === "deleted") !== isOwn) return [];
      return [isOwn ? EMPTY : same];
    }
    case "login":
      return login(event, result, held);
  }
}

function login(event: RouterEvent, result: string | undefined, held: Held | undefined): { held: Held | undefined }[] {
  const mine = { session: sessionOf(event), incarnation: event.incarnation ?? "", loginSeq: event.loginSeq ?? 0 };
  const isStale = held !== undefined && held.session !== mine.session && held.loginSeq >= mine.loginSeq;
  // A fenced login leaves nothing of its own; what it replaced for a moment is put back.
  if (result === "fenced") return [{ held: held?.session === mine.session ? undefined : held }];
  if (result === undefined) return [{ held: isStale ? held : mine }];
  if (isStale !== (result === "stale")) return [];
  return [{ held: isStale ? held : mine }];
}

function sessionOf({ incarnation = "", conn = 0 }: RouterEvent): string {
  return `${incarnation}/${conn}`;
}
