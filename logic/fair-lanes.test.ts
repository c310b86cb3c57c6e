// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { tenantOf } from "#lib/tenant.ts";
import { FairLanes } from "./fair-lanes.ts";

function drain<T>(lanes: FairLanes<T>): T[] {
  const all: T[] = [];
  for (let item = lanes.shift(); item !== undefined; item = lanes.shift()) all.push(item);
  return all;
}

describe("fair lanes", () => {
  it("know the tenant of an internal id", () => {
    assert.deepEqual(["bob", "shop/bob", "a-1/b"].map(tenantOf), ["", "shop", "a-1"]);
  });

  it("hand out in turn, and skip whoever may not go", () => {
    const lanes = new FairLanes<string>(10);
    for (const name of ["a1", "a2", "a3", "b1", "c1"]) lanes.push(name[0] ?? "", name, 0);
    const notA = (tenant: string): boolean => tenant !== "a";
    assert.deepEqual([lanes.next(), lanes.next(notA)], ["a1", "b1"]);
    assert.equal(lanes.shift(notA), "b1");
    assert.deepEqual(drain(lanes), ["a1", "c1", "a2", "a3"]);
    assert.deepEqual([lanes.length, lanes.next(), lanes.shift(notA)], [0, undefined, undefined]);
  });

  it("put back in front of the tenant's own", () => {
    const lanes = new FairLanes<string>(10);
    for (const name of ["a2", "b1"]) lanes.push(name[0] ?? "", name, 0);
    lanes.putBack("a", ["a0", "a1"]);
    lanes.putBack("c", ["c1"]);
    lanes.putBack("c", []);
    assert.equal(lanes.length, 5);
    assert.deepEqual(drain(lanes), ["c1", "a0", "b1", "a1", "a2"]);
  });

  it("see contention while several tenants come, and for a second after", () => {
    const lanes = new FairLanes<string>(10);
    lanes.push("a", "a1", 0);
    lanes.push("a", "a2", 1);
    assert.ok(!lanes.isContended(1), "one tenant");
    lanes.push("b", "b1", 5);
    assert.ok(lanes.isContended(5) && lanes.isContended(1004) && !lanes.isContended(1005));
  });

  it("leave room for others, and none when they are full", () => {
    const lanes = new FairLanes<number>(18);
    lanes.push("b", 0, 0);
    let own = 0;
    while (lanes.push("a", own, 0)) own++;
    assert.equal(own, 16, "eight times what is free");
    assert.ok(lanes.push("b", 1, 0));
    assert.ok(!lanes.push("b", 2, 0), "full");
    assert.ok(!lanes.push("c", 3, 0, 0));
    assert.ok(new FairLanes<number>(2).push("a", 1, 0, 1));
    assert.ok(!new FairLanes<number>(2).push("a", 1, 0, 2), "what is elsewhere counts");
  });

  it("have a bounded number of lanes", () => {
    const lanes = new FairLanes<number>(2000);
    for (let tenant = 0; tenant < 1000; tenant++) assert.ok(lanes.push(`t${tenant}`, tenant, 0));
    assert.deepEqual(
      drain(lanes),
      Array.from({ length: 1000 }, (_, at) => at),
    );
  });

  it("hand out of each of n tenants within n, whatever the others have", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 2, maxLength: 6 }), (counts) => {
        const lanes = new FairLanes<number>(1000);
        for (const [tenant, count] of counts.entries())
          for (let at = 0; at < count; at++) lanes.push(`t${tenant}`, tenant, 0);
        const first = counts.map(() => lanes.shift());
        assert.deepEqual(new Set(first).size, counts.length);
      }),
    );
  });

  it("lose nothing and keep each tenant's order", () => {
    const step = fc.oneof(fc.record({ push: fc.nat(3) }), fc.constant({ shift: true as const }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const lanes = new FairLanes<{ tenant: string; number: number }>(1000);
        const waiting = new Map<string, number[]>();
        let number = 0;
        for (const one of steps) {
          if ("push" in one) {
            const tenant = `t${one.push}`;
            lanes.push(tenant, { tenant, number }, 0);
            waiting.set(tenant, [...(waiting.get(tenant) ?? []), number++]);
            continue;
          }
          const item = lanes.shift();
          if (!item) continue;
          assert.equal(item.number, waiting.get(item.tenant)?.shift());
        }
        assert.equal(lanes.length, [...waiting.values()].flat().length);
        assert.equal(drain(lanes).length, [...waiting.values()].flat().length);
      }),
    );
  });
});
