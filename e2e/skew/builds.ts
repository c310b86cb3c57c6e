// SPDX-License-Identifier: Apache-2.0
// Parts of a build that run in this process: its SDK, and what its operator calls pods with.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { FleetClient } from "../../operator/imcluster/fleet-client.ts";
import { OUR_SDK, type Sdk } from "../workload/sdk.ts";

type FleetClientClass = typeof FleetClient;

/** Loads the SDK of a build from its sources. @throws TypeError when it lacks what a chat needs */
export async function sdkOf(dir: string): Promise<Sdk> {
  const names = Object.keys(OUR_SDK);
  return (await load(join(dir, "client/src/node.ts"), names)) as unknown as Sdk;
}

/** Loads the operator's client of pods of a build. @throws TypeError when there is none where ours is */
export async function fleetClientOf(dir: string): Promise<FleetClientClass> {
  const module = await load(join(dir, "operator/imcluster/fleet-client.ts"), ["FleetClient"]);
  return module.FleetClient as FleetClientClass;
}

async function load(path: string, names: readonly string[]): Promise<Record<string, unknown>> {
  const module = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  const missing = names.filter((name) => typeof module[name] !== "function");
  if (missing.length > 0)
    throw new TypeError(`${path} exports no ${missing.join(", ")}: FROM is too old for make skew`);
  return module;
}
