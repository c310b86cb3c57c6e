// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as z from "zod";
import { loadConfig } from "#lib/config.ts";
import { ImError } from "#lib/errors.ts";
import { addressTo, envTenantPolicies, policyFor, readTenantPolicies } from "./subject.ts";

describe("one conversation of a pair, or one per subject", () => {
  it("is decided by the sender's tenant, and else by the cluster", () => {
    const tenants = new Map([["acme", "per_item"]] as const);
    assert.deepEqual(["bob", "acme/bob", "other/bob"].map(policyFor("per_peer", tenants)), [
      "per_peer",
      "per_item",
      "per_peer",
    ]);
    assert.deepEqual(["bob", "acme/bob"].map(policyFor("per_item")), ["per_item", "per_item"]);
  });

  it("changes nothing for a message about nothing", () => {
    const [perItem, perPeer] = (["per_item", "per_peer"] as const).map((policy) =>
      addressTo("alice", "bob", undefined, { policyOf: () => policy }),
    );
    assert.deepEqual(perItem, perPeer);
    assert.equal(perItem?.conversationId, perItem?.hashedAs);
  });

  it("is read from a text by tenant", () => {
    assert.deepEqual(
      readTenantPolicies('{"acme":"per_item","shop-2":"per_peer"}'),
      new Map([
        ["acme", "per_item"],
        ["shop-2", "per_peer"],
      ]),
    );
    const many = JSON.stringify(Object.fromEntries(Array.from({ length: 1001 }, (_, n) => [`t${n}`, "per_item"])));
    const cases: [string, RegExp][] = [
      ["", /no JSON/],
      ["[]", /no JSON object/],
      ["null", /no JSON object/],
      ['{"":"per_item"}', /"" is no tenant/],
      ['{"A b":"per_item"}', /"A b" is no tenant/],
      ['{"acme":"items"}', /policy of acme is none of per_peer, per_item/],
      ['{"acme":1}', /policy of acme/],
      [many, /more than 1000/],
    ];
    for (const [text, wanted] of cases) assert.match(String(readTenantPolicies(text)), wanted, text);
  });

  it("comes from the environment, and a bad value says what to set", () => {
    const schema = z.object({ IM_CONVERSATIONS_TENANTS: envTenantPolicies() });
    const read = (value: string) => loadConfig(schema, { IM_CONVERSATIONS_TENANTS: value }).IM_CONVERSATIONS_TENANTS;
    assert.deepEqual(read('{"acme":"per_item"}'), new Map([["acme", "per_item"]]));
    assert.equal(loadConfig(schema, {}).IM_CONVERSATIONS_TENANTS, undefined);
    assert.throws(
      () => read('{"acme":"x"}'),
      (error) => error instanceof ImError && /IM_CONVERSATIONS_TENANTS.*acme.*such as/s.test(error.message),
    );
  });
});
