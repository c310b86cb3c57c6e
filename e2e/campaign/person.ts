// SPDX-License-Identifier: Apache-2.0
import type { Timing } from "#client";
import type { HistoryRecorder } from "../checker/history.ts";
import type { LatencyHistogram } from "../workload/latency-histogram.ts";
import { Peer } from "../workload/peer.ts";
import type { ClientTarget } from "../workload/sdk-transport.ts";

/**
 * How a person behaves. `steady`: always here. `commuter`: comes and goes. `half-open`: on links that the nemesis makes
 * half-open. `second`: opens and closes a second device in another slot. `switcher`: logs in with another phone, which
 * takes the place of the first, and back. `away`: logs in once and comes back at the end.
 */
export const HABITS = ["steady", "commuter", "half-open", "second", "switcher", "away"] as const;
export type Habit = (typeof HABITS)[number];

/** Options of {@link Person}. */
export interface PersonOptions {
  uid: string;
  habit: Habit;
  target: ClientTarget;
  getToken: (uid: string) => Promise<string>;
  recorder: HistoryRecorder;
  ackLatency: LatencyHistogram;
  conversationWindow: number;
  random: () => number;
  timing?: Partial<Timing>;
  /** Of what it says; see `PeerOptions`. */
  contentType?: string;
  /** Its devices show broadcasts. */
  readsBroadcasts?: boolean;
}

/** Up to where a person's devices are to come. */
export interface Heads {
  /** Newest position of the inbox: groups and changes are due up to it. */
  inbox: number;
  /** Newest broadcast. */
  broadcasts: number;
}

/** How often and how long people are somewhere else, ms. */
const STAY_MS = [3000, 9000] as const;
const ABSENCE_MS = [2000, 10_000] as const;
/** Sends of one person without an answer; above it the person waits, as an application with a full outbox would. */
const SENDING_LIMIT = 16;
/** A half-open connection is noticed by the missing PONG. */
const PONG_TIMEOUT_MS = 3000;

/** One user with the devices that it has. */
export class Person {
  readonly uid: string;
  readonly habit: Habit;
  readonly phone: Peer;
  /** Second phone or desktop of those who have one. */
  readonly other: Peer | undefined;
  /** Client message ids that others were told are stored for this person. */
  readonly due: string[] = [];
  readonly #options: PersonOptions;
  readonly #stopped = new AbortController();
  #isLeaving = false;

  constructor(options: PersonOptions) {
    this.uid = options.uid;
    this.habit = options.habit;
    this.#options = options;
    this.phone = this.#peer("phone", "android");
    if (options.habit === "second") this.other = this.#peer("desk", "desktop");
    if (options.habit === "switcher") this.other = this.#peer("phone2", "ios");
  }

  #peer(device: string, platform: "android" | "ios" | "desktop" | "web"): Peer {
    const { uid, target, getToken, recorder, ackLatency, conversationWindow } = this.#options;
    const { timing = { pongTimeoutMs: PONG_TIMEOUT_MS }, contentType, readsBroadcasts = false } = this.#options;
    const type = { ...(contentType === undefined ? {} : { contentType }), readsBroadcasts };
    const shared = { recorder, ackLatency, conversationWindow, timing, ...type };
    return new Peer({ uid, device, platform, target, getToken: () => getToken(uid), ...shared });
  }

  /** A device that was never there before. */
  newDevice(): Peer {
    return this.#peer("audit", "web");
  }

  get devices(): Peer[] {
    return this.other ? [this.phone, this.other] : [this.phone];
  }

  /** May it send now? Those who are away or about to change their device do not. */
  get canSend(): boolean {
    return this.phone.isOnline && !this.#isLeaving && this.habit !== "switcher" && this.phone.sending < SENDING_LIMIT;
  }

  /** First login, while nothing is broken yet. @throws when it does not succeed within a minute */
  async arrive(): Promise<void> {
    await this.phone.goOnline();
    if (this.habit === "away") await this.phone.goOffline();
  }

  /** Lives by its habit until {@link settleDown}. */
  async live(): Promise<void> {
    if (this.habit === "commuter") await this.#alternate((isHere) => this.#comeOrGo(this.phone, isHere));
    else if (this.habit === "second") await this.#alternate((isHere) => this.#comeOrGo(this.other, !isHere));
    else if (this.habit === "switcher") await this.#alternate((isHere) => this.#switchTo(isHere ? 0 : 1));
  }

  async #alternate(change: (isHere: boolean) => Promise<void>): Promise<void> {
    for (let isHere = false; ; isHere = !isHere) {
      await this.#pause(isHere ? ABSENCE_MS : STAY_MS);
      if (this.#stopped.signal.aborted) return;
      await change(isHere);
    }
  }

  async #comeOrGo(peer: Peer | undefined, comes: boolean): Promise<void> {
    if (!peer) return;
    this.#isLeaving = peer === this.phone && !comes;
    if (comes) peer.connect();
    else await peer.goOffline();
  }

  /** The newer login takes the slot; the application on the older phone is then closed by its user. */
  async #switchTo(index: number): Promise<void> {
    const [next, old] = index === 0 ? [this.phone, this.other] : [this.other, this.phone];
    next?.connect();
    await this.#pause([500, 1500]);
    await old?.goOffline();
  }

  #pause([minMs, maxMs]: readonly [number, number]): Promise<void> {
    const { signal } = this.#stopped;
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, minMs + (maxMs - minMs) * this.#options.random());
      signal.addEventListener("abort", end);
    });
  }

  /** Ends the habit. */
  settleDown(): void {
    this.#stopped.abort();
    this.#isLeaving = false;
  }

  /**
   * After the heal: each device in turn is online and pulls until it was shown all that is due, then a new device reads
   * the inbox from its beginning. The phone stays online. Resolves with what went wrong, if anything.
   */
  async pullAll({ inbox, broadcasts }: Heads, timeoutMs: number): Promise<string[]> {
    const wrong: string[] = [];
    for (const peer of [...this.devices, this.newDevice()].reverse()) {
      try {
        if (!peer.isOnline || peer.isClosed) {
          await peer.goOffline();
          await peer.goOnline();
        }
        if (!(await peer.waitShown(this.due, timeoutMs))) wrong.push(`${peer.device} was not shown everything`);
        else if (!(await peer.waitCursor(inbox, timeoutMs))) wrong.push(`${peer.device} did not come to ${inbox}`);
        else if (!(await peer.waitPlace(broadcasts, timeoutMs)))
          wrong.push(`${peer.device} did not come to broadcast ${broadcasts}`);
      } catch (error) {
        wrong.push(`${peer.device} could not log in: ${String(error)}`);
      } finally {
        if (peer !== this.phone) await peer.goOffline();
      }
    }
    return wrong;
  }
}
