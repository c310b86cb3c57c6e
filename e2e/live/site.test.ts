// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ImCluster, ImClusterStatus } from "../../operator/api/v1alpha1.ts";
import { isSettled } from "./site.ts";

const condition = (type: string, status: "True" | "False") => ({
  ...{ type, status, reason: "R", message: "", lastTransitionTime: "2026-01-01T00:00:00Z" },
});

function cluster(change: Partial<ImClusterStatus> = {}): ImCluster {
  const conditions = [condition("Ready", "True"), condition("Progressing", "False")];
  const drains = [
    { id: "1", pod: "a", phase: "Released" },
    { id: "2", pod: "b", phase: "Aborted" },
  ];
  const status = { observedGeneration: 4, phase: "Ready", conditions, drains, ...change };
  return { metadata: { name: "demo", generation: 4 }, spec: {}, status } as unknown as ImCluster;
}

describe("a fleet is settled", () => {
  it("when the newest spec is reached and nothing moves", () => assert.equal(isSettled(cluster()), true));

  for (const [what, change] of Object.entries<Partial<ImClusterStatus>>({
    "the spec is newer": { observedGeneration: 3 },
    "a drain goes on": { drains: [{ id: "1", pod: "a", phase: "Purging" }] },
    "an entry is being drained": { entry: { draining: 1 } },
    "it says so": { phase: "Scaling" },
    "it does not serve": { conditions: [condition("Ready", "False")] },
    "it moves": { conditions: [condition("Ready", "True"), condition("Progressing", "True")] },
  }))
    it(`not while ${what}`, () => assert.equal(isSettled(cluster(change)), false));
});
