// SPDX-License-Identifier: Apache-2.0
import { JOBS, type Job } from "../kube/types.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import { migrationHash } from "./resources/migrate-job.ts";

/** A migration that failed for good is tried again from the start after this. */
export const RETRY_AFTER_MS = 120_000;

export type MigrationState =
  | { state: "blocked"; reason: string }
  | { state: "missing"; name: string }
  | { state: "running"; job: Job }
  | { state: "complete"; job: Job }
  | { state: "failed"; job: Job; retryAtMs: number; message: string };

/** Where the migration to the wanted version stands. Pure. */
export function migrationState(observed: ObservedCluster): MigrationState {
  const { context, objects } = observed;
  const { postgres, users } = context.hashes;
  if ([postgres, users.logic.postgres, users.extlogic.postgres].includes(""))
    return { state: "blocked", reason: "the database's URL is not known yet" };
  const name = context.names.migrate(migrationHash(context));
  const job = objects.get(JOBS, name);
  if (!job) return { state: "missing", name };
  const condition = (type: string) => job.status?.conditions?.find((one) => one.type === type && one.status === "True");
  if (condition("Complete")) return { state: "complete", job };
  const failed = condition("Failed");
  if (!failed) return { state: "running", job };
  const failedAtMs = Date.parse(failed.lastTransitionTime ?? "") || observed.nowMs;
  return {
    state: "failed",
    job,
    retryAtMs: failedAtMs + RETRY_AFTER_MS,
    message: failed.message ?? failed.reason ?? "",
  };
}
