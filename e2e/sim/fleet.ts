// SPDX-License-Identifier: Apache-2.0
import type { Platform } from "#client";
import { shardOf } from "../../logic/push/shard.ts";
import { ABROAD } from "./broadcast-ops.ts";
import { Device } from "./device.ts";
import { EntryProcess } from "./entry-process.ts";
import { ExtlogicProcess } from "./extlogic-process.ts";
import { LogicProcess } from "./logic-process.ts";
import type { Plan } from "./plan.ts";
import { Random } from "./random.ts";
import type { World } from "./world.ts";

/** All processes of a run. */
export interface Fleet {
  logics: LogicProcess[];
  entries: EntryProcess[];
  extlogics: ExtlogicProcess[];
  users: string[];
  devices: Device[];
  /** The user who is never there. */
  hermit: string | undefined;
  /** The user who comes late. */
  newcomer: string | undefined;
  /** The user of another tenant: only broadcasts are for it. */
  foreigner: string | undefined;
  /** Those whom others write to. */
  chatters: string[];
}

/** So many applications keep no place among broadcasts. */
const FORGETS = 0.4;

/** Devices of each user, in the order in which they are given. Two share a slot. */
const DEVICES: readonly { device: string; platform: Platform }[] = [
  { device: "phone", platform: "ios" },
  { device: "laptop", platform: "desktop" },
  { device: "old-phone", platform: "android" },
  { device: "browser", platform: "web" },
];

/** Everybody of a run. */
export type People = Pick<Fleet, "users" | "hermit" | "newcomer" | "foreigner" | "chatters">;

/** Names of all users: they share two shards, so that intents of one meet those of another. */
export function peopleOf({ users: count, hasHermit, hasForeigner, newcomerAtMs }: Plan): People {
  const locals = Array.from({ length: count }, (_, at) => NAMES[at] ?? `user-${at}`);
  const hermit = hasHermit ? locals.at(-1) : undefined;
  const chatters = locals.filter((uid) => uid !== hermit);
  const newcomer = newcomerAtMs === undefined ? undefined : chatters.at(-1);
  const foreigner = hasForeigner ? FOREIGNER : undefined;
  return { users: foreigner === undefined ? locals : [...locals, foreigner], hermit, newcomer, foreigner, chatters };
}

const NAMES: readonly string[] = Array.from({ length: 8 }, (_, at) => inShardOf(`user-${at % 2}`, `user-${at}`));
const FOREIGNER = inShardOf("user-0", `${ABROAD}/guest`);

function inShardOf(other: string, begin: string): string {
  const wanted = shardOf(other);
  let name = begin;
  for (let tries = 0; shardOf(name) !== wanted; tries++) name = `${begin}${tries.toString(36)}`;
  return name;
}

/** Starts every process; devices start with the workload. */
export function startFleet(world: World, plan: Plan, people: People): Fleet {
  const random = new Random(world.kernel.seed, "fleet");
  const named = <T>(count: number, name: string, make: (name: string) => T): T[] =>
    Array.from({ length: count }, (_, at) => make(`${name}-${at}`));
  const logics = named(plan.logics, "logic", (name) => new LogicProcess(world, name));
  const entries = named(plan.entries, "entry", (name) => new EntryProcess(world, name, logics, plan));
  const extlogics = named(plan.extlogics, "extlogic", (name) => new ExtlogicProcess(world, name, plan));
  const forgetting = new Random(world.kernel.seed, "places");
  const devices = people.users.flatMap((uid) =>
    DEVICES.slice(0, uid === people.foreigner ? 1 : random.int(1, DEVICES.length)).map(({ device, platform }) => {
      const slowMs = random.chance(0.2) ? random.int(50, 400) : 0;
      const keepsPlace = !forgetting.chance(FORGETS);
      return new Device(world, entries, { uid, device, platform, slowMs, keepsPlace });
    }),
  );
  for (const logic of logics) logic.start();
  for (const entry of entries) entry.start(false);
  for (const extlogic of extlogics) extlogic.start();
  return { ...people, logics, entries, extlogics, devices };
}
