// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sampleCluster } from "../../operator/imcluster/testing/sample.ts";
import { sampleEntry } from "../../operator/imcluster/testing/sample-entry.ts";
import { KubeError } from "../../operator/kube/kube-error.ts";
import { CliFault } from "../fault.ts";
import { addFenced } from "./pod-request.ts";

const { pod } = sampleEntry({ name: "demo-entry-a" });

/** An ImCluster that somebody else writes `others` times between a read and the write that follows it. */
function contested(others: number, refusal = new KubeError(409, "Conflict", "the object has been modified")) {
  const cluster = sampleCluster({ fencedEntries: ["demo-entry-b", "demo-entry-gone"] });
  const seen = { reads: 0, patches: [] as unknown[] };
  const access: Parameters<typeof addFenced>[0] = {
    namespace: "shop",
    call: { deadlineMs: 1_000, signal: new AbortController().signal },
    cluster: async () => {
      seen.reads++;
      return { ...cluster, metadata: { ...cluster.metadata, resourceVersion: String(seen.reads) } };
    },
    podsOf: async () => [pod, sampleEntry({ name: "demo-entry-b" }).pod],
    client: {
      patchMerge: async (_resource, _namespace, _name, patch) => {
        if (seen.reads <= others) throw refusal;
        seen.patches.push(patch);
        return undefined;
      },
    },
  };
  return { access, seen };
}

describe("addFenced", () => {
  it("reads again and adds the pod when the operator wrote the status in between", async () => {
    const { access, seen } = contested(3);
    await addFenced(access, pod);
    const spec = { fencedEntries: ["demo-entry-b", "demo-entry-a"] };
    assert.deepEqual(seen.patches, [{ metadata: { resourceVersion: "4" }, spec }]);
  });

  it("gives up, and says so, when somebody writes all the time", async () => {
    const { access, seen } = contested(Number.POSITIVE_INFINITY);
    await assert.rejects(
      addFenced(access, pod),
      (error) => error instanceof CliFault && /each time/.test(error.message),
    );
    assert.ok(seen.reads < 20);
  });

  it("does not hide any other refusal", async () => {
    const refusal = new KubeError(403, "Forbidden", "may not patch");
    await assert.rejects(addFenced(contested(1, refusal).access, pod), refusal);
  });
});
