// SPDX-License-Identifier: Apache-2.0
import type { Logger } from "#lib/logger.ts";
import type { LogicMetrics } from "../metrics.ts";
import { DEATH_WINDOW_MS, judgePurge } from "../router/purge-guard.ts";
import type { Store } from "../store/store.ts";

/** What the guard needs. */
export interface LeavePorts {
  store: Pick<Store, "entryDeaths">;
  log: Logger;
  metrics: Pick<LogicMetrics, "purgesHeld">;
}

/**
 * Why the routes of a pod that is declared dead must not go now, see {@link judgePurge}; `undefined` when they may.
 * @throws {ImError} RETRYABLE when SQL is away
 */
export async function whyHeld(ports: LeavePorts, podUid: string, isForced: boolean): Promise<string | undefined> {
  const deaths = await ports.store.entryDeaths(podUid, DEATH_WINDOW_MS);
  const verdict = judgePurge(deaths, isForced);
  if (verdict.kind === "purge") return undefined;
  ports.metrics.purgesHeld.inc();
  const what = `${verdict.deaths} of ${deaths.known} entries were declared dead within a minute`;
  ports.log.error({ podUid, ...deaths }, `${what}: its routes are not purged; see imcluster.io/force-purge`);
  return `${what}: purging is held, their leases end the routes of those really dead`;
}
