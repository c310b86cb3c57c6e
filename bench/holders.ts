// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import type { Fleet } from "../e2e/harness/fleet.ts";
import { type GuardedProcess, startProcess } from "../e2e/harness/processes.ts";
import type { HoldOrder } from "./hold-sessions.ts";

/** Starts a process that logs users of the fleet in and holds their connections; its lines tell how far it is. */
export function startHolder(fleet: Fleet, order: Omit<HoldOrder, "keyFile" | "audience">): Promise<GuardedProcess> {
  const whole: HoldOrder = {
    ...order,
    keyFile: join(fleet.dir, "private.jwk.json"),
    audience: fleet.tokens.audience,
  };
  const args = [join(import.meta.dirname, "hold-sessions.ts"), JSON.stringify(whole)];
  return startProcess({ name: order.prefix, command: process.execPath, args });
}
