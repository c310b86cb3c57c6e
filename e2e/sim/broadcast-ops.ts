// SPDX-License-Identifier: Apache-2.0

import { BroadcastDesk, type NewBroadcastAsk } from "../../logic/server-api/broadcast-desk.ts";
import type { Refusal } from "../../logic/server-api/problem.ts";
import type { Device } from "./device.ts";
import type { Fleet } from "./fleet.ts";
import { WALL_START_MS } from "./kernel.ts";
import { Random } from "./random.ts";
import type { World } from "./world.ts";

/** How often each is done, of all that is done about broadcasts. */
const BROADCAST_OPS = {
  announce: 8,
  "add to a broadcast": 3,
  "retract a broadcast": 1.5,
  /** The application dies at the moment in which it gets broadcasts. */
  "die at a page": 4,
};

/** One step. `choice` seeds the finer ones; `device` picks among the devices. */
export interface BroadcastOp {
  kind: keyof typeof BROADCAST_OPS;
  device: number;
  choice: number;
}

export function isBroadcastOp(op: { kind: string }): op is BroadcastOp {
  return op.kind in BROADCAST_OPS;
}

const MIN_OPS = 8;
const MAX_OPS = 24;
const MAX_CHOICE = 1_000_000;

/** What is done about broadcasts in one run, within `activeMs`. */
export function broadcastOps(random: Random, activeMs: number): (BroadcastOp & { atMs: number })[] {
  return Array.from({ length: random.int(MIN_OPS, MAX_OPS) }, () => ({
    kind: random.weighted(BROADCAST_OPS),
    device: random.int(0, 1000),
    choice: random.int(0, MAX_CHOICE),
    atMs: 1000 + random.next() * (activeMs - 1000),
  }));
}

/** A broadcast that a logic has confirmed. */
interface Made {
  id: string;
  tenant: string;
  broadcastId: string;
  /** Those on its list; undefined: it has none. */
  listed: Set<string> | undefined;
}

/** A call that is not answered is made again, at any logic, after this; so many times. */
const RETRY_MS = 3000;
const TRIES = 12;
const REOPEN_MS = [50, 4000] as const;
const FAR_MS = 3_600_000;
/** Of a tenant that has one user. */
export const ABROAD = "abroad";
const PLATFORMS = ["ios", "web", "desktop"] as const;

/** The backend of the service: it makes broadcasts through any logic, and asks again until it is answered. */
export class Herald {
  readonly #world: World;
  readonly #fleet: Fleet;
  readonly #made: Made[] = [];
  #count = 0;

  constructor(world: World, fleet: Fleet) {
    this.#world = world;
    this.#fleet = fleet;
  }

  perform({ kind, device: number, choice }: BroadcastOp): void {
    const random = new Random(choice, kind);
    const { devices } = this.#fleet;
    if (kind === "announce") void this.#announce(random);
    else if (kind === "add to a broadcast") void this.#add(random);
    else if (kind === "retract a broadcast") this.#retract(random);
    else this.#dieAtPage(devices[number % devices.length], random.int(...REOPEN_MS));
  }

  #dieAtPage(device: Device | undefined, downMs: number): void {
    device?.dieAtPage(() => this.#world.kernel.after(downMs, undefined, () => device.open()));
  }

  async #announce(random: Random): Promise<void> {
    const { kernel } = this.#world;
    const tenant = this.#fleet.foreigner !== undefined && random.chance(0.3) ? ABROAD : "";
    const id = `${tenant}#${this.#count++}`;
    const notBeforeMs = random.chance(0.4) ? kernel.wallMs + random.int(300, 20_000) : 0;
    const fromMs = notBeforeMs === 0 ? kernel.nowMs : notBeforeMs - WALL_START_MS;
    const untilMs = random.chance(0.25) ? fromMs + random.int(1500, 15_000) : kernel.nowMs + FAR_MS;
    const { audience, segment, targets, others } = await this.#audience(random, tenant);
    const window = { fromMs, ...(untilMs < kernel.nowMs + FAR_MS ? { untilMs } : {}) };
    const named = { targets: [...targets], others, ...window, afterSeq: await this.#head(tenant) };
    const asked = { op: "broadcast", kind: "invoke", process: "herald", id } as const;
    this.#world.record({ ...asked, ...named });
    const ask: NewBroadcastAsk = {
      ...{ tenant, idempotencyKey: id, contentType: "text/plain", content: Buffer.from(id), audience, segment },
      userIds: audience === "users" ? targets.map((uid) => this.#ownId(uid)) : [],
      ...{ notBeforeMs, notAfterMs: WALL_START_MS + untilMs, urgent: random.chance(0.35), topic: "", maxPerDay: 0 },
    };
    this.#ask(
      (desk) => desk.create(ask),
      (made: string | Refusal) => {
        if (typeof made !== "string") return;
        this.#world.record({ ...asked, ...named, isConfirmed: true });
        this.#made.push({ id, tenant, broadcastId: made, listed: audience === "users" ? new Set(targets) : undefined });
      },
    );
  }

  async #audience(random: Random, tenant: string) {
    const { users, foreigner, devices } = this.#fleet;
    const all = users.filter((uid) => (uid === foreigner) === (tenant === ABROAD));
    const audience = random.weighted({ all: 5, users: 4, segment: 2 });
    if (audience === "all") return { audience, segment: "", targets: all, others: [] };
    if (audience === "users")
      return { audience, segment: "", targets: all.filter(() => random.chance(0.5)), others: [] };
    // Who logs in with such a device only later may be in the segment or not.
    const platform = random.pick(PLATFORMS);
    const known = await this.#world.database.broadcasts.traits(all);
    const targets = all.filter((uid) => known.some((one) => one.userId === uid && one.platform === platform));
    const others = all.filter((uid) => devices.some((one) => one.uid === uid && one.platform === platform));
    return { audience, segment: JSON.stringify([{ attribute: "platform", values: [platform] }]), targets, others };
  }

  async #add(random: Random): Promise<void> {
    const lists = this.#made.filter(({ listed }) => listed !== undefined);
    if (lists.length === 0) return;
    const { id, tenant, broadcastId, listed } = random.pick(lists);
    const { users, foreigner } = this.#fleet;
    const fresh = users.filter((uid) => (uid === foreigner) === (tenant === ABROAD) && !listed?.has(uid));
    if (fresh.length === 0) return;
    const uid = random.pick(fresh);
    listed?.add(uid);
    const base = { op: "broadcast", kind: "invoke", process: "herald", id } as const;
    const afterSeq = await this.#head(tenant);
    this.#world.record({ ...base, others: [uid] });
    this.#ask(
      (desk) => desk.addUsers(tenant, broadcastId, [this.#ownId(uid)]),
      ({ kind }) => {
        if (kind === "added") this.#world.record({ ...base, targets: [uid], afterSeq, isConfirmed: true });
      },
    );
  }

  #retract(random: Random): void {
    if (this.#made.length === 0) return;
    const { id, tenant, broadcastId } = random.pick(this.#made);
    const over = (): void => this.#world.record({ op: "broadcast", kind: "over", process: "herald", id });
    over();
    this.#ask((desk) => desk.retract(tenant, broadcastId), over);
  }

  /** What the tenant calls its user. */
  #ownId(uid: string): string {
    return uid.slice(uid.indexOf("/") + 1);
  }

  /** Newest number that the store has given. */
  async #head(tenant: string): Promise<number> {
    return (await this.#world.database.broadcasts.open(tenant)).head;
  }

  #ask<T>(call: (desk: BroadcastDesk) => Promise<T>, onAnswer: (answer: T) => void): void {
    const { kernel } = this.#world;
    let isAnswered = false;
    let tries = 0;
    const attempt = (): void => {
      if (isAnswered || tries++ === TRIES) return;
      const { core, proc } = kernel.random.pick(this.#fleet.logics);
      kernel.after(RETRY_MS, undefined, attempt);
      if (!core) return;
      const desk = new BroadcastDesk({ store: this.#world.storeFor(proc).broadcasts, board: core.broadcasts.board });
      kernel.after(0, proc, () => {
        call(desk).then(
          (answer) => {
            if (!isAnswered) onAnswer(answer);
            isAnswered = true;
          },
          () => undefined,
        );
      });
    };
    attempt();
  }
}
