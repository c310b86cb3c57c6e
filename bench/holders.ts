// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import type { Fleet } from "../e2e/harness/fleet.ts";
import { type GuardedProcess, startProcess } from "../e2e/harness/processes.ts";
import type { HoldOrder } from "./hold-sessions.ts";

/** As {@link HoldOrder}; without a key file, with the key of the fleet. */
export type HolderOrder = Omit<HoldOrder, "keyFile" | "audience"> & { keyFile?: string; profileDir?: string };

/** Starts a process that logs users of the fleet in and holds their connections; its lines tell how far it is. */
export function startHolder(fleet: Fleet, { profileDir, ...order }: HolderOrder): Promise<GuardedProcess> {
  const keyFile = join(fleet.dir, "private.jwk.json");
  const whole: HoldOrder = { keyFile, ...order, audience: fleet.tokens.audience };
  const profile = profileDir ? ["--cpu-prof", `--cpu-prof-dir=${profileDir}`] : [];
  const args = [...profile, join(import.meta.dirname, "hold-sessions.ts"), JSON.stringify(whole)];
  return startProcess({ name: order.prefix, command: process.execPath, args });
}
