// SPDX-License-Identifier: Apache-2.0
import type { Timing } from "#client";
import type { HistoryRecorder } from "../checker/history.ts";
import { textOf } from "../harness/text.ts";
import { LatencyHistogram } from "../workload/latency-histogram.ts";
import type { ClientTarget } from "../workload/sdk-transport.ts";
import { Chatter } from "./chatter.ts";
import { type Habit, Person } from "./person.ts";

/** Options of {@link Crowd}. */
export interface CrowdOptions {
  /** Names users and messages. */
  seed: number | string;
  /** One-to-one conversations; both members send. */
  pairs: number;
  /** Messages per second in all. What could not be sent in time is made up for later. */
  ratePerSecond: number;
  random: () => number;
  recorder: HistoryRecorder;
  getToken: (uid: string) => Promise<string>;
  /** Where a person connects, on carriers in turn; `alias` for those whose links the nemesis makes half-open. */
  target: (index: number, isAlias: boolean) => ClientTarget;
  /** Habits of the second members, in turn; the first ones are steady. Default: all there are. */
  habits?: readonly Habit[];
  /** Of the SDK clients. Default: a missing PONG is noticed after 3 s. */
  timing?: Partial<Timing>;
  /** Of what is said; see `PeerOptions`. */
  contentType?: string;
  /** People also recall and edit, and talk in groups. */
  hasChatter?: boolean;
  /** Their devices show broadcasts. */
  readsBroadcasts?: boolean;
}

const CYCLE: readonly Habit[] = [
  ...["steady", "commuter", "half-open", "steady", "second", "commuter"],
  ...["half-open", "steady", "switcher", "steady", "away", "commuter"],
] as Habit[];
const TICK_MS = 10;
/** At most this much is made up for in one tick, so that one stall does not become a flood. */
const MAX_BURST = 60;
const CONVERSATION_WINDOW = 4;

/** People who chat in pairs, as a marketplace's buyers and sellers do. */
export class Crowd {
  readonly people: Person[] = [];
  readonly ackLatency = new LatencyHistogram();
  readonly #options: CrowdOptions;
  readonly #partner = new Map<Person, Person>();
  readonly #living: Promise<void>[] = [];
  readonly #chatter: Chatter | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sent = 0;
  #turn = 0;

  constructor(options: CrowdOptions) {
    this.#options = options;
    const { habits = CYCLE } = options;
    for (let pair = 0; pair < options.pairs; pair++) {
      const a = this.#person(`${options.seed}-a${pair}`, "steady");
      const b = this.#person(`${options.seed}-b${pair}`, habits[pair % habits.length] ?? "steady");
      this.#partner.set(a, b).set(b, a);
    }
    const { random, hasChatter = false } = options;
    if (hasChatter) this.#chatter = new Chatter({ people: this.people, random });
  }

  #person(uid: string, habit: Habit): Person {
    const { getToken, recorder, random, target, timing, contentType, readsBroadcasts = false } = this.#options;
    const index = this.people.length;
    // Every third keeps the strict order of one send in flight.
    const conversationWindow = index % 3 === 0 ? 1 : CONVERSATION_WINDOW;
    const { ackLatency } = this;
    const where = target(index, habit === "half-open");
    const person = new Person({
      uid,
      habit,
      target: where,
      getToken,
      recorder,
      ackLatency,
      conversationWindow,
      random,
      readsBroadcasts,
      ...(timing ? { timing } : {}),
      ...(contentType === undefined ? {} : { contentType }),
    });
    this.people.push(person);
    return person;
  }

  get sent(): number {
    return this.#sent;
  }

  get acked(): number {
    return this.people.reduce((sum, person) => sum + person.devices.reduce((n, peer) => n + peer.acknowledged, 0), 0);
  }

  get shown(): number {
    return this.people.reduce((sum, { phone }) => sum + phone.shownCount, 0);
  }

  get reconnects(): number {
    return this.people.reduce((sum, person) => sum + person.devices.reduce((n, peer) => n + peer.reconnects, 0), 0);
  }

  /** Everybody logs in once. @throws when someone cannot */
  async arrive(): Promise<void> {
    await Promise.all(this.people.map((person) => person.arrive()));
  }

  /** Begins to chat, until {@link settleDown}; with steady people once more after that. */
  start(): void {
    const [startedMs, before] = [performance.now(), this.#sent];
    this.#timer = setInterval(() => {
      const elapsedMs = performance.now() - startedMs;
      const due = before + Math.floor((elapsedMs * this.#options.ratePerSecond) / 1000) - this.#sent;
      this.#sendSome(Math.min(due, MAX_BURST));
    }, TICK_MS);
    this.#chatter?.start();
    for (const person of this.people) this.#living.push(person.live());
  }

  #sendSome(count: number): void {
    let passed = 0;
    for (let left = count; left > 0 && passed < this.people.length; this.#turn++) {
      const person = this.people[this.#turn % this.people.length];
      if (!person?.canSend) {
        passed++;
        continue;
      }
      passed = 0;
      left--;
      void this.#send(person);
    }
  }

  async #send(person: Person): Promise<void> {
    const to = this.#partner.get(person);
    if (!to) return;
    const index = this.#sent++;
    const cmid = `${person.uid}-${index}`;
    if (await person.phone.send(to.uid, cmid, textOf(index, cmid))) to.due.push(cmid);
  }

  /** Ends sending and habits; resolves when every send was answered, false when some are open after `timeoutMs`. */
  async settleDown(timeoutMs: number): Promise<boolean> {
    clearInterval(this.#timer);
    this.#chatter?.stop();
    for (const person of this.people) person.settleDown();
    await Promise.all(this.#living);
    const deadlineMs = performance.now() + timeoutMs;
    while (this.people.some(({ phone }) => phone.sending > 0)) {
      if (performance.now() > deadlineMs) return false;
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
    return true;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#chatter?.stop();
    for (const person of this.people) person.settleDown();
    await Promise.all(this.people.flatMap(({ devices }) => devices.map((peer) => peer.goOffline())));
  }
}
