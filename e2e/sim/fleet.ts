// SPDX-License-Identifier: Apache-2.0
import type { Platform } from "#client";
import { shardOf } from "../../logic/push/shard.ts";
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
}

/** Devices of each user, in the order in which they are given. Two share a slot. */
const DEVICES: readonly { device: string; platform: Platform }[] = [
  { device: "phone", platform: "ios" },
  { device: "laptop", platform: "desktop" },
  { device: "old-phone", platform: "android" },
  { device: "browser", platform: "web" },
];

/** Names of all users: they share two shards, so that intents of one meet those of another. */
export function usersOf({ users }: Plan): string[] {
  return Array.from({ length: users }, (_, at) => NAMES[at] ?? `user-${at}`);
}

const NAMES: readonly string[] = Array.from({ length: 8 }, (_, at) => {
  const wanted = shardOf(`user-${at % 2}`);
  let name = `user-${at}`;
  for (let tries = 0; shardOf(name) !== wanted; tries++) name = `user-${at}${tries.toString(36)}`;
  return name;
});

/** Starts every process; devices start with the workload. */
export function startFleet(world: World, plan: Plan): Fleet {
  const random = new Random(world.kernel.seed, "fleet");
  const named = <T>(count: number, name: string, make: (name: string) => T): T[] =>
    Array.from({ length: count }, (_, at) => make(`${name}-${at}`));
  const logics = named(plan.logics, "logic", (name) => new LogicProcess(world, name));
  const entries = named(plan.entries, "entry", (name) => new EntryProcess(world, name, logics, plan));
  const extlogics = named(plan.extlogics, "extlogic", (name) => new ExtlogicProcess(world, name, plan));
  const users = [...world.users];
  const devices = users.flatMap((uid) =>
    DEVICES.slice(0, random.int(1, DEVICES.length)).map(
      ({ device, platform }) =>
        new Device(world, entries, { uid, device, platform, slowMs: random.chance(0.2) ? random.int(50, 400) : 0 }),
    ),
  );
  for (const logic of logics) logic.start();
  for (const entry of entries) entry.start(false);
  for (const extlogic of extlogics) extlogic.start();
  const hermit = plan.hasHermit ? users.at(-1) : undefined;
  return { logics, entries, extlogics, users, devices, hermit };
}
