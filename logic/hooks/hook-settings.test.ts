// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import { parseHooks, secretFilesOf } from "./hook-settings.ts";

const SECRETS = new Map([
  ["/s/shop", "  sixteen chars ok \n"],
  ["/s/short", "short"],
]);
const SHOP = { name: "shop", url: "https://shop.example/im", secretFile: "/s/shop", events: ["message.after"] };
const SPAM = { name: "spam", url: "https://spam.example", secretFile: "/s/shop", onFailure: "allow" };
const parse = (value: unknown) => parseHooks(JSON.stringify(value), SECRETS);

it("reads hooks with what is left out", () => {
  const { hooks, before } = parse({ hooks: [SHOP], before: [SPAM] });
  assert.deepEqual(hooks, [
    {
      ...{ name: "shop", url: "https://shop.example/im", secret: "sixteen chars ok", tenant: "" },
      ...{ contentTypes: new Set(), events: new Set(["message.after"]), content: false },
      ...{ timeoutMs: 5000, batchEvents: 50, tries: 15, verdicts: false },
    },
  ]);
  assert.deepEqual(before, [
    {
      ...{ name: "spam", url: "https://spam.example", secret: "sixteen chars ok", tenant: "" },
      ...{ contentTypes: new Set(), strangersOnly: false, budgetMs: 300, onFailure: "allow", concurrency: 64 },
    },
  ]);
  const inline = { ...SHOP, secret: "a secret in the file", secretFile: undefined };
  assert.equal(parse({ hooks: [inline] }).hooks[0]?.secret, "a secret in the file");
  assert.deepEqual(secretFilesOf(JSON.stringify({ hooks: [inline] })), []);
  assert.deepEqual(parse({}), { hooks: [], before: [] });
  assert.deepEqual(secretFilesOf(JSON.stringify({ hooks: [SHOP], before: [SPAM] })), ["/s/shop"]);
});

it("says where what is wrong, and never quotes a secret", () => {
  const cases: [unknown, RegExp][] = [
    [{ hooks: [{ ...SHOP, name: "Shop!" }] }, /\/hooks\/0\/name/],
    [{ hooks: [{ ...SHOP, url: "ftp://shop" }] }, /\/hooks\/0\/url/],
    [{ hooks: [{ ...SHOP, url: "https://" }] }, /the url of shop is none/],
    [{ hooks: [{ ...SHOP, url: "https://me:pass@shop.example" }] }, /has a user, a password/],
    [{ hooks: [{ ...SHOP, events: [] }] }, /\/hooks\/0\/events/],
    [{ hooks: [{ ...SHOP, events: ["message.before"] }] }, /\/hooks\/0\/events\/0/],
    [{ hooks: [{ ...SHOP, tenant: "A/B" }] }, /\/hooks\/0\/tenant/],
    [{ hooks: [{ ...SHOP, timeoutMs: 60_000 }] }, /\/hooks\/0\/timeoutMs/],
    [{ hooks: [{ ...SHOP, secret: "abc" }] }, /\/hooks\/0\/secret/],
    [{ hooks: [{ ...SHOP, secret: "a second secret there" }] }, /either a secret or a secretFile/],
    [{ hooks: [{ ...SHOP, secretFile: undefined }] }, /either a secret or a secretFile/],
    [{ hooks: [{ ...SHOP, sceret: "abc" }] }, /\/hooks\/0/],
    [{ hooks: [SHOP, SHOP] }, /two hooks have the name shop/],
    [{ hooks: [SHOP], before: [{ ...SPAM, name: "shop" }] }, /two hooks have the name shop/],
    [{ hooks: [{ ...SHOP, secretFile: "/s/none" }] }, /the secret of shop is not there: put it into \/s\/none/],
    [{ hooks: [{ ...SHOP, secretFile: "/s/short" }] }, /too short: 16 characters/],
    [{ hooks: [{ ...SHOP, events: ["presence"], verdicts: true }] }, /add message.after/],
    [{ before: [{ ...SPAM, onFailure: "maybe" }] }, /\/before\/0\/onFailure/],
    [{ before: [{ ...SPAM, budgetMs: 5000 }] }, /\/before\/0\/budgetMs/],
    [[], /IM_HOOKS_FILE/],
  ];
  for (const [value, expected] of cases) {
    assert.throws(() => parse(value), expected, JSON.stringify(value));
    assert.throws(
      () => parse(value),
      (error: Error) => !/short"|sixteen/.test(error.message),
    );
  }
  assert.throws(() => parseHooks('{"hooks": [s3cret', SECRETS), /it is not JSON$/);
});
