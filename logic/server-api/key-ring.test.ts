// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { MemoryServerApi } from "../store/memory-server-api.ts";
import type { StoredApiKey } from "../store/server-api-store.ts";
import { hashOfSecret, makeKey } from "./api-key.ts";
import type { FileKey, FileKeys } from "./key-file.ts";
import { KeyRing } from "./key-ring.ts";

function setUp() {
  const clock = new FakeClock();
  const store = new MemoryServerApi(() => clock.wallMs());
  const file = new Map<string, FileKey>();
  let keys: FileKeys = new Map();
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
    // Another map whenever it is read again.
    fileKeys: (): FileKeys => {
      if (keys.size !== file.size) keys = new Map(file);
      return keys;
    },
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
        ...{ expiresMs: 0, createdMs: 0, revokedMs: 0, certificates: [] },
      });
    assert.equal((await ring.check(bearer(kept))).kind, "ok");
    assert.equal((await ring.check(bearer(taken))).kind, "ok");
    file.delete(taken.keyId);
    await store.revokeKey(kept.keyId);
    clock.advance(3000);
    assert.equal((await ring.check(bearer(kept))).kind, "refused");
    assert.equal((await ring.check(bearer(taken))).kind, "refused");
  });

  describe("with client certificates", () => {
    const [digest, other] = [`sha256:${"a".repeat(64)}`, `sha256:${"b".repeat(64)}`];
    const shown = (bindings: readonly string[], expiresMs = Number.MAX_SAFE_INTEGER) => ({ bindings, expiresMs });
    const REFUSED = { kind: "refused", by: "certificate" };
    const bound = (parts: ReturnType<typeof setUp>, certificates: readonly string[], expiresMs = 0): string => {
      const { keyId } = makeKey();
      const facts = { keyId, secretHash: new Uint8Array(0), tenant: "", name: "", scopes: [], expiresMs };
      parts.file.set(keyId, { ...facts, createdMs: 0, revokedMs: 0, certificates });
      return keyId;
    };
    const idOf = async ({ ring }: ReturnType<typeof setUp>, bindings: readonly string[]) => {
      const verdict = await ring.check(undefined, shown(bindings));
      return verdict.kind === "ok" ? verdict.key.keyId : verdict;
    };

    it("finds the key that one stands for, by its digest before its names", async () => {
      const parts = setUp();
      const byDigest = bound(parts, [digest]);
      const byName = bound(parts, ["dns:shop", "uri:spiffe://shop/api"]);
      assert.equal(await idOf(parts, [digest, "dns:shop"]), byDigest);
      assert.equal(await idOf(parts, [other, "dns:shop", "uri:spiffe://shop/api"]), byName);
    });

    it("refuses one that stands for none, or by its names for two, and asks nobody", async () => {
      const parts = setUp();
      bound(parts, ["dns:shop"]);
      bound(parts, ["dns:back"]);
      for (const names of [[], ["dns:other"], ["uri:shop"], ["dns:shop", "dns:back"]])
        assert.deepEqual(await idOf(parts, [other, ...names]), REFUSED, names.join());
      assert.equal(parts.asked.length, 0);
    });

    it("refuses one that is over, whose key is over, or was revoked", async () => {
      const parts = setUp();
      const { ring, clock, store } = parts;
      const keyId = bound(parts, ["dns:shop"]);
      bound(parts, ["dns:brief"], clock.wallMs() + 1000);
      assert.equal(await idOf(parts, [digest, "dns:shop"]), keyId);
      assert.equal(typeof (await idOf(parts, [digest, "dns:brief"])), "string");
      assert.deepEqual(await ring.check(undefined, shown([digest, "dns:shop"], clock.wallMs())), REFUSED);
      await store.revokeKey(keyId);
      clock.advance(3000);
      for (const name of ["dns:shop", "dns:brief"]) assert.deepEqual(await idOf(parts, [digest, name]), REFUSED);
    });

    it("counts for nothing beside a key, and lets nobody in with a key that has no secret", async () => {
      const parts = setUp();
      const { ring, add } = parts;
      const keyId = bound(parts, ["dns:shop"]);
      const key = await add();
      const verdict = await ring.check(bearer(key), shown([digest, "dns:shop"]));
      assert.equal(verdict.kind === "ok" && verdict.key.keyId, key.keyId);
      for (const header of ["", "Bearer x", `Bearer imk_${keyId}_${makeKey().secret}`])
        assert.deepEqual(await ring.check(header, shown([digest, "dns:shop"])), { kind: "refused" });
    });
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
