// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import type { Pod } from "../kube/types.ts";
import { FORCE_DEADLINE_MS, inPhase } from "./drain.ts";
import { asDraining, DrainWatch } from "./drain-watch.ts";
import type { Fleet } from "./fleet-client.ts";
import { ClusterMemory } from "./observe.ts";
import { NOW_MS, sampleCluster } from "./testing/sample.ts";
import { sampleEntry } from "./testing/sample-entry.ts";

const WHO = { clusterUid: "c", tls: undefined };
const logicPod = (uid: string): Pod => ({ metadata: { name: uid, uid }, spec: { containers: [] } });
const draining = sampleEntry({ name: "d", drain: { phase: "Draining" } });

describe("DrainWatch", () => {
  it("leaves a logic pod alone that did not answer, for a while: leases wait for it", async () => {
    const clock = new FakeClock();
    const asked: string[] = [];
    const fleet = {
      logicStatus: async (_who: unknown, { metadata }: Pod) => {
        asked.push(metadata.name);
        return metadata.name === "hung" ? undefined : { ackTimeouts: 0, uptimeMs: 1 };
      },
    } as unknown as Fleet;
    const watch = new DrainWatch(fleet, clock);
    const memory = new ClusterMemory("c");
    const look = () => {
      const seen = { entries: [draining], logicPods: [logicPod("hung"), logicPod("well")] };
      return watch.look(sampleCluster(), memory, WHO, seen);
    };
    for (let second = 0; second < 10; second++) {
      await look();
      clock.advance(1_000);
    }
    assert.deepEqual(asked.sort(), ["hung", ...Array<string>(10).fill("well")]);
    await look();
    assert.equal(asked.filter((name) => name === "hung").length, 2);
  });

  it("asks nobody while no clients are moved", async () => {
    const watch = new DrainWatch({ logicStatus: () => assert.fail() } as unknown as Fleet, new FakeClock());
    const seen = { entries: [sampleEntry({ name: "e" })], logicPods: [logicPod("l")] };
    await watch.look(sampleCluster(), new ClusterMemory("c"), WHO, seen);
  });
});

describe("an entry past its deadline", () => {
  const limits = { windowMs: 1_000, deadlineMs: 20_000, onDeadline: "Force", lbDetachMs: 0, maxPerSecond: 10 } as const;
  const closing = (left: number) => {
    const entry = sampleEntry({ name: "f", drain: { phase: "Forcing" }, probe: { connections: left, draining: true } });
    if (!entry.intent) return assert.fail();
    return { ...entry, intent: inPhase(entry.intent, "Forcing", limits, NOW_MS, left) };
  };

  it("closes all that are left, within its deadline once more", () => {
    assert.deepEqual(asDraining(closing(50), NOW_MS), {
      uid: "uid-f",
      ...{ initial: 50, waiting: 50, closeWithinMs: 20_000 },
    });
    assert.equal(asDraining(closing(50), NOW_MS + 15_000).closeWithinMs, 5_000);
    assert.equal(asDraining(closing(50), NOW_MS + 20_000 + FORCE_DEADLINE_MS).closeWithinMs, 1_000);
  });

  it("has longer when the budget cannot do it in that", () => {
    assert.equal(asDraining(closing(500), NOW_MS).closeWithinMs, 50_000);
  });
});
