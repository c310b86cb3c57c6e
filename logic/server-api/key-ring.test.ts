// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { MemoryServerApi } from "../store/memory-server-api.ts";
import type { StoredApiKey } from "../store/server-api-store.ts";
import { hashOfSecret, makeKey } from "./api-key.ts";
import type { FileKeys } from "./key-file.ts";
import { KeyRing } from "./key-ring.ts";

function setUp() {
  const clock = new FakeClock();
  const store = new MemoryServerApi(() => clock.wallMs());
  const file = new Map<string, StoredApiKey>();
  const asked: string[] = [];
  let fault: ImError | undefined;
  const ring = new KeyRing({
    store: {
      findKey: async (keyId) => {
        asked.push(keyId);
        if (fault) throw fault;
        return await store.findKey(keyId);
      },
    },
    fileKeys: (): FileKeys => file,
    clock,
  });
  const add = async (fields: Partial<StoredApiKey> = {}) => {
    const key = makeKey();
    const { keyId, secret } = key;
    const facts = {
      keyId,
      secretHash: hashOfSecret(secret),
      tenant: "",
      name: "",
      scopes: [],
      expiresMs: 0,
      ...fields,
    };
    await store.addKey(facts);
    return key;
  };
  const setFault = (error: ImError | undefined): void => {
    fault = error;
  };
  return { clock, store, file, asked, ring, add, setFault };
}

const bearer = ({ text }: { text: string }): string => `Bearer ${text}`;

describe("KeyRing", () => {
  it("finds a key and asks the store no more often than every 3 s", async () => {
    const { ring, add, asked, clock } = setUp();
    const key = await add({ tenant: "acme" });
    for (let call = 0; call < 5; call++) {
      const verdict = await ring.check(bearer(key));
      assert.equal(verdict.kind === "ok" && verdict.key.tenant, "acme");
      clock.advance(500);
    }
    assert.equal(asked.length, 1);
    clock.advance(1000);
    await ring.check(`bearer  ${key.text}`);
    assert.equal(asked.length, 2);
  });

  it("asks once for calls that come together", async () => {
    const { ring, add, asked } = setUp();
    const key = await add();
    const verdicts = await Promise.all([1, 2, 3].map(() => ring.check(bearer(key))));
    assert.deepEqual([verdicts.map(({ kind }) => kind), asked.length], [["ok", "ok", "ok"], 1]);
  });

  it("refuses everything else, and asks nobody about what is no key", async () => {
    const { ring, add, asked } = setUp();
    const { text, keyId } = await add();
    for (const header of [undefined, "", "Bearer", text, `Basic ${text}`, "Bearer imk_x_y", `Bearer ${text} x`])
      assert.deepEqual(await ring.check(header), { kind: "refused" }, header);
    assert.equal(asked.length, 0);
    assert.deepEqual(await ring.check(bearer(makeKey())), { kind: "refused" });
    const wrong = `imk_${keyId}_${makeKey().secret}`;
    assert.deepEqual(await ring.check(`Bearer ${wrong}`), { kind: "refused" });
  });

  it("refuses a key within 5 s of its revocation, and when its time is over at once", async () => {
    const { ring, add, store, clock } = setUp();
    const [key, brief] = [await add(), await add({ expiresMs: clock.wallMs() + 1000 })];
    assert.equal((await ring.check(bearer(key))).kind, "ok");
    assert.equal((await ring.check(bearer(brief))).kind, "ok");
    await store.revokeKey(key.keyId);
    clock.advance(1000);
    assert.equal((await ring.check(bearer(brief))).kind, "refused");
    clock.advance(2000);
    assert.equal((await ring.check(bearer(key))).kind, "refused");
  });

  it("knows the keys of the file, as long as they are in it, and not when they were revoked", async () => {
    const { ring, file, store, clock } = setUp();
    const [kept, taken] = [makeKey(), makeKey()];
    for (const { keyId, secret } of [kept, taken])
      file.set(keyId, {
        ...{ keyId, secretHash: hashOfSecret(secret), tenant: "", name: "", scopes: [] },
        ...{ expiresMs: 0, createdMs: 0, revokedMs: 0 },
      });
    assert.equal((await ring.check(bearer(kept))).kind, "ok");
    assert.equal((await ring.check(bearer(taken))).kind, "ok");
    file.delete(taken.keyId);
    await store.revokeKey(kept.keyId);
    clock.advance(3000);
    assert.equal((await ring.check(bearer(kept))).kind, "refused");
    assert.equal((await ring.check(bearer(taken))).kind, "refused");
  });

  it("does not let made-up ids take the database from others", async () => {
    const { ring, add, asked, clock } = setUp();
    const key = await add();
    await ring.check(bearer(key));
    let busy = 0;
    for (let call = 0; call < 1000; call++) if ((await ring.check(bearer(makeKey()))).kind === "busy") busy++;
    assert.ok(asked.length <= 201 && busy >= 799, `${asked.length} questions, ${busy} refused`);
    assert.equal((await ring.check(bearer(key))).kind, "ok");
    clock.advance(3000);
    for (let call = 0; call < 1000; call++) await ring.check(bearer(makeKey()));
    assert.equal((await ring.check(bearer(key))).kind, "ok", "one that is known costs nobody anything");
  });

  it("remembers no fault of the store", async () => {
    const { ring, add, setFault } = setUp();
    const key = await add();
    setFault(new ImError(ErrorCode.RETRYABLE, "away"));
    await assert.rejects(ring.check(bearer(key)), { code: ErrorCode.RETRYABLE });
    setFault(undefined);
    assert.equal((await ring.check(bearer(key))).kind, "ok");
  });
});
