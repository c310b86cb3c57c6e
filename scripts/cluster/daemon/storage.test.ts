// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { NODES } from "../layout.ts";
import { type Claim, isReclaimable, planVolume, type Volume } from "./storage.ts";

function claim(over: { node?: string; className?: string; volumeName?: string } = {}): Claim {
  return {
    metadata: {
      name: "demo-postgres",
      namespace: "shop",
      uid: "0a1b",
      annotations: { "volume.kubernetes.io/selected-node": over.node ?? "node2" },
    },
    spec: {
      storageClassName: over.className ?? "imc-local",
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: "5Gi" } },
      ...(over.volumeName ? { volumeName: over.volumeName } : {}),
    },
  };
}

describe("planVolume", () => {
  it("makes a folder on the node that the scheduler chose, bound to the claim", () => {
    const plan = planVolume(claim(), NODES());
    assert.ok(plan);
    assert.match(plan.folder, /\/node2\/volumes\/pvc-0a1b$/);
    const { spec } = plan.volume as unknown as {
      spec: { claimRef: { uid: string }; capacity: object; nodeAffinity: object };
    };
    assert.equal(spec.claimRef.uid, "0a1b");
    assert.deepEqual(spec.capacity, { storage: "5Gi" });
    assert.match(JSON.stringify(spec.nodeAffinity), /"values":\["node2"\]/);
  });

  it("waits for a consumer, and leaves bound, foreign and deleted claims alone", () => {
    const waiting = claim();
    delete waiting.metadata.annotations;
    const deleted = claim();
    deleted.metadata.deletionTimestamp = "2026-01-01T00:00:00Z";
    const others = [
      waiting,
      deleted,
      claim({ node: "node9" }),
      claim({ className: "standard" }),
      claim({ volumeName: "pvc-0a1b" }),
    ];
    for (const other of others) assert.equal(planVolume(other, NODES()), undefined);
  });
});

describe("isReclaimable", () => {
  const volume = (over: { phase?: string; policy?: string; by?: string } = {}): Volume => ({
    metadata: { name: "pvc-0a1b", annotations: { "pv.kubernetes.io/provisioned-by": over.by ?? "imcluster.io/local" } },
    spec: { persistentVolumeReclaimPolicy: over.policy ?? "Delete" },
    status: { phase: over.phase ?? "Released" },
  });

  it("is a released volume of ours that goes with its claim", () => {
    assert.ok(isReclaimable(volume()));
    for (const over of [{ phase: "Bound" }, { policy: "Retain" }, { by: "example.com/nfs" }])
      assert.ok(!isReclaimable(volume(over)));
  });
});
