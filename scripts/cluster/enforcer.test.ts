// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ownSets, removalOf } from "./enforcer.ts";
import { GO_RECIPES } from "./recipes.ts";

const LISTING = `-P INPUT ACCEPT
-P FORWARD ACCEPT
-N KUBE-FORWARD
-N KUBE-NWPLCY-DEFAULT
-N KUBE-POD-FW-AAAA
-N KUBE-ROUTER-FORWARD
-A FORWARD -m comment --comment "kube-router netpol - TEMC" -j KUBE-ROUTER-FORWARD
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-POD-FW-AAAA -s 10.90.0.3/32 -j KUBE-NWPLCY-DEFAULT
-A KUBE-ROUTER-FORWARD -d 10.90.0.3/32 -j KUBE-POD-FW-AAAA
`;

describe("the enforcer of NetworkPolicies", () => {
  it("takes its own rules out, and no others", () => {
    const removal = removalOf(LISTING)?.split("\n");
    assert.deepEqual(removal, [
      "*filter",
      '-D FORWARD -m comment --comment "kube-router netpol - TEMC" -j KUBE-ROUTER-FORWARD',
      ...["-F KUBE-NWPLCY-DEFAULT", "-F KUBE-POD-FW-AAAA", "-F KUBE-ROUTER-FORWARD"],
      ...["-X KUBE-NWPLCY-DEFAULT", "-X KUBE-POD-FW-AAAA", "-X KUBE-ROUTER-FORWARD"],
      ...["COMMIT", ""],
    ]);
  });

  it("has nothing to take out where it never was", () => {
    const others = LISTING.split("\n").filter((line) => !/ROUTER|POD-FW|NWPLCY/.test(line));
    assert.equal(removalOf(others.join("\n")), undefined);
    assert.equal(removalOf(""), undefined);
  });

  it("knows its sets", () => {
    const sets = ["KUBE-DST-AAAA", "KUBE-SRC-BBBB", "kube-router-local-ips", "KUBE-LOOP-BACK", "other", ""];
    assert.deepEqual(ownSets(sets.join("\n")), sets.slice(0, 3));
  });

  it("is built for nobody who does not ask for it by name", () => {
    const recipe = GO_RECIPES.find(({ module }) => module === "kube-router");
    assert.deepEqual(Object.keys(recipe?.programs ?? {}), ["kube-router"]);
  });
});
