// SPDX-License-Identifier: Apache-2.0
import { inTurns } from "#lib/in-turns.ts";
import { Crowd } from "../campaign/crowd.ts";
import type { Person } from "../campaign/person.ts";
import { seededRandom } from "../campaign/seeded-random.ts";
import { checkHistory } from "../checker/check-history.ts";
import { type FaultClass, HistoryRecorder, monotonicMs } from "../checker/history.ts";
import { CHECKS, type Check, type Violation } from "../checker/violation.ts";
import { LOAD_CONTENT_TYPE } from "../workload/peer.ts";
import type { ClientTarget } from "../workload/sdk-transport.ts";
import { movesOf } from "./moves.ts";

/** Options of {@link LoadCrowd}. */
export interface LoadCrowdOptions {
  /** Names the users. */
  seed: string;
  pairs: number;
  /** Messages per second in all. */
  ratePerSecond: number;
  getToken: (userId: string) => Promise<string>;
  /** Clients connect there in turn. */
  targets: readonly ClientTarget[];
}

/** Something that was done to the system, on the clock of {@link monotonicMs}. */
export interface LoadFault {
  what: string;
  atMs: number;
  untilMs: number;
  faultClass: FaultClass;
}

/** What became of clients and messages between {@link LoadCrowd.start} and {@link LoadCrowd.settle}. */
export interface LoadWindow {
  clients: number;
  acked: number;
  lost: number;
  duplicated: number;
  reordered: number;
  /** How often any other check failed. */
  otherViolations: number;
  reconnects: number;
  reconnectsPerClientMax: number;
  offlineMs: number[];
  /** Open at the end. */
  sessions: { uid: string; slot: string; session: string }[];
  /** New ones, at most a few. */
  violations: Violation[];
  /** What the client saw that is not back; else the one that reconnected most. */
  trail: string[];
}

/** Logins under way at a time. */
const ARRIVING = 16;
const TOLD_VIOLATIONS = 10;

/** SDK clients in pairs that stay connected, chat from `start` to `settle`, again and again, and check what they saw. */
export class LoadCrowd {
  readonly #recorder: HistoryRecorder;
  readonly #crowd: Crowd;
  readonly #told = new Set<string>();
  #counted: Record<Check, number> = Object.fromEntries(CHECKS.map((check) => [check, 0])) as Record<Check, number>;
  #acked = 0;
  #resets = 0;
  #startedMs = 0;

  constructor({ targets, ...options }: LoadCrowdOptions) {
    this.#recorder = new HistoryRecorder(options.seed);
    this.#crowd = new Crowd({
      ...options,
      recorder: this.#recorder,
      random: seededRandom(1),
      habits: ["steady"],
      timing: {},
      contentType: LOAD_CONTENT_TYPE,
      target: (index) => targets[index % targets.length] as ClientTarget,
    });
  }

  /** Everybody logs in, a few at a time. @throws when someone cannot within a minute */
  async arrive(): Promise<void> {
    await inTurns(this.#crowd.people, ARRIVING, (person) => person.arrive());
  }

  /** Messages acknowledged so far. */
  get acked(): number {
    return this.#crowd.acked;
  }

  start(): void {
    this.#startedMs = monotonicMs();
    this.#crowd.start();
  }

  note(fault: LoadFault): void {
    this.#recorder.record({ op: "fault", kind: "info", process: "nemesis", ...fault });
  }

  /** Ends the chat, waits until everybody is online and was shown everything, and checks the history. */
  async settle(timeoutMs: number): Promise<LoadWindow> {
    const deadlineMs = performance.now() + timeoutMs;
    const leftMs = (): number => Math.max(1, Math.ceil(deadlineMs - performance.now()));
    await this.#crowd.settleDown(leftMs());
    await Promise.all(this.#crowd.people.map(({ phone, due }) => phone.waitShown(due, leftMs())));
    await this.#untilOnline(leftMs());
    return this.#judge();
  }

  async #untilOnline(timeoutMs: number): Promise<void> {
    const signal = AbortSignal.timeout(timeoutMs);
    // Whoever is not back in time has no session in the result: the caller judges.
    const back = ({ phone }: Person): Promise<void> => phone.client.ready({ signal }).catch(() => undefined);
    await Promise.all(this.#crowd.people.map(back));
  }

  #judge(): LoadWindow {
    const { people } = this.#crowd;
    const { mostMoved, ...moves } = movesOf(this.#recorder.events, this.#startedMs, monotonicMs());
    const { events } = this.#recorder;
    const devices = people.map(({ phone: { uid, device } }) => ({ uid, device }));
    const { counts, violations } = checkHistory(events, { devices });
    const added = (check: Check): number => counts.violations[check] - this.#counted[check];
    const resets = people.reduce((sum, { phone }) => sum + phone.resets, 0);
    const [lost, duplicated, reordered] = [added("C1"), added("C2") + resets - this.#resets, added("C3") + added("C6")];
    const all = CHECKS.reduce((sum, check) => sum + added(check), 0);
    const otherViolations = all - lost - added("C2") - reordered;
    const acked = counts.acked - this.#acked;
    const unknown = violations.filter(({ message }) => !this.#told.has(message));
    for (const { message } of unknown) this.#told.add(message);
    [this.#counted, this.#acked, this.#resets] = [counts.violations, counts.acked, resets];
    return {
      clients: people.length,
      ...{ acked, lost, duplicated, reordered, otherViolations },
      ...moves,
      trail: this.#trailOf(mostMoved),
      sessions: this.#openSessions(),
      violations: unknown.slice(0, TOLD_VIOLATIONS),
    };
  }

  #trailOf(mostMoved: string | undefined): string[] {
    const away = this.#crowd.people.find(({ phone }) => phone.sid === undefined)?.phone;
    const process = away ? `client:${away.uid}/${away.device}` : mostMoved;
    const seconds = (atMs: number): string => ((atMs - this.#startedMs) / 1000).toFixed(1);
    return this.#recorder.events.flatMap((event) => {
      if (event.process !== process || event.atMs < this.#startedMs) return [];
      if (event.op === "connection") return [`${seconds(event.atMs)} s: ${event.what}`];
      return event.op === "session" && event.kind === "open" ? [`${seconds(event.atMs)} s: ${event.sid}`] : [];
    });
  }

  #openSessions(): LoadWindow["sessions"] {
    const phones = this.#crowd.people.map(({ phone }) => phone);
    return phones.flatMap(({ uid, slot, sid }) => (sid === undefined ? [] : [{ uid, slot, session: sid }]));
  }

  async close(): Promise<void> {
    await this.#crowd.close();
    await this.#recorder.close();
  }
}
