// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openCard } from "../../logic/changes/card.ts";
import { readRules } from "../../logic/policy/rules.ts";
import { parseKey, SCOPES } from "../../logic/server-api/api-key.ts";
import { parseKeyFile } from "../../logic/server-api/key-file.ts";
import { applyShop, SHOP, sampleItemCard, shopAccess, shopSpec } from "./shop.ts";
import { fakeCluster } from "./testing/fake-cluster.ts";

describe("the demo's shop", () => {
  it("has keys that logic takes, and keeps them when it is brought up again", async () => {
    const { tools, secrets } = fakeCluster();
    await applyShop(tools);
    const first = await shopAccess(tools);
    const file = parseKeyFile(secrets.get(SHOP)?.["api-keys.json"] ?? "");
    const { keyId } = parseKey(first.apiKey) ?? assert.fail("no key");
    assert.deepEqual(file.get(keyId)?.scopes, SCOPES);
    assert.ok(first.cardKey.secret.length >= 32);
    await applyShop(tools);
    assert.deepEqual(await shopAccess(tools), first);
  });

  it("gives a key of an older version the scopes that are new", async () => {
    const { tools, secrets } = fakeCluster();
    await applyShop(tools);
    const { apiKey } = await shopAccess(tools);
    const before = await applyShop(tools);
    assert.deepEqual(await applyShop(tools), before, "nothing changed: no pod is made anew");
    const old = JSON.stringify([{ key: apiKey, name: "demo shop", scopes: ["messages:send"] }]);
    secrets.set(SHOP, { ...secrets.get(SHOP), "api-keys.json": old });
    await applyShop(tools);
    const [entry] = [...parseKeyFile(secrets.get(SHOP)?.["api-keys.json"] ?? "").values()];
    assert.notDeepEqual(shopSpec("10.96.0.7", [old]).logic, before.logic);
    assert.deepEqual([entry?.scopes, (await shopAccess(tools)).apiKey], [SCOPES, apiKey]);
  });

  it("has rules that logic reads", async () => {
    const { tools, applied } = fakeCluster();
    const spec = await applyShop(tools);
    const rules = applied.find(({ kind }) => kind === "ConfigMap")?.data?.["rules.json"] ?? "";
    assert.deepEqual(
      readRules(rules).rules.map(({ id, verdict }) => `${id} ${verdict}`),
      ["contacts bounce", "strangers bounce"],
    );
    assert.deepEqual(spec.chat, shopSpec("10.96.0.7", []).chat);
    assert.match(JSON.stringify(spec.chat), /"webhookAllowedNetworks":\["10\.96\.0\.7\/32"\]/);
    assert.match(JSON.stringify(shopSpec("fd00::1", []).chat), /\["fd00::1\/128"\]/);
  });

  it("signs a card that logic takes", async () => {
    const { tools } = fakeCluster();
    await applyShop(tools);
    const { cardKey } = await shopAccess(tools);
    const card = openCard(Buffer.from(sampleItemCard(cardKey)), [cardKey], Date.now());
    assert.ok(typeof card === "object" && card.type === "item", String(card));
  });

  it("says what to do where an older version brought the demo up", async () => {
    await assert.rejects(shopAccess(fakeCluster().tools), /run `make up` again/);
  });
});
