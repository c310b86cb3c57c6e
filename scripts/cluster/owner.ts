// SPDX-License-Identifier: Apache-2.0
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ClusterFault } from "./fault.ts";
import { RUN_ROOT } from "./layout.ts";
import { clusterRoot } from "./paths.ts";

const ownerFile = join(RUN_ROOT, "owner");

/**
 * Addresses and names are fixed, so one machine has one local cluster. Throws ClusterFault when the running one belongs
 * to another cache folder, so that neither `up` nor `down` with this one disturbs it.
 */
export function assertOwnMachine(): void {
  const owner = existsSync(ownerFile) ? readFileSync(ownerFile, "utf8").trim() : clusterRoot();
  if (owner === clusterRoot()) return;
  throw new ClusterFault(
    `another local cluster runs on this machine, with its state in ${owner}`,
    `Remove it first: IMCLUSTER_CACHE=${dirname(owner)} make down`,
  );
}

/** Makes this cache folder the owner of the machine's local cluster. */
export function claimMachine(): void {
  assertOwnMachine();
  writeFileSync(ownerFile, `${clusterRoot()}\n`);
}
