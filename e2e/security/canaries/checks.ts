// SPDX-License-Identifier: Apache-2.0
import { type Check, check } from "../checks.ts";
import { describeHits } from "./canary-set.ts";
import type { CanaryReport } from "./run.ts";

/** Fewer would not be everything that is private. */
const LEAST_CANARIES = 200;

export function checksOfCanaries({ canaries, places, hits, forged }: CanaryReport): Check[] {
  const few = canaries < LEAST_CANARIES ? `${canaries} were placed` : undefined;
  return [
    check(`canaries: ${LEAST_CANARIES} at least go through the fleet`, "high", few, `${canaries} were placed`),
    check("canaries: none is found", "high", describeHits(hits), `${places} places were searched`),
    check("canaries: a log is lines of JSON of its own process", "high", forged.join("; ").slice(0, 1000)),
  ];
}
