// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { checkStore } from "../test/store-contract.ts";
import { ClientCode } from "./codes.ts";
import { FileStore } from "./node.ts";
import { MemoryStore, type PendingMessage } from "./store.ts";

const dir = mkdtempSync(join(tmpdir(), "im-file-store-"));
after(() => rmSync(dir, { recursive: true }));
let files = 0;
const fresh = (): string => join(dir, `${++files}.jsonl`);

const messageOf = (id: string, bytes = 3): PendingMessage => ({
  id,
  userId: "",
  to: "bob",
  conversationId: "",
  contentType: "",
  content: new Uint8Array(bytes),
});

describe("a store in a file", () => {
  it("keeps what the contract says", async () => {
    assert.deepEqual(await checkStore((name) => new FileStore(join(dir, "contract", name))), []);
  });

  it("the contract notices a store that forgets", async () => {
    const forgets = () =>
      Object.assign(new MemoryStore(), { loadOutbox: () => [], saveOutbox: () => undefined, load: () => undefined });
    assert.ok((await checkStore(forgets)).length >= 5);
  });

  it("is for its owner's eyes only", async () => {
    const path = fresh();
    await new FileStore(path).save({ userId: "a", epoch: "e", cursor: 1 });
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  it("drops a last line that a crash cut off at any byte, and goes on behind what is whole", async () => {
    const whole = fresh();
    const store = new FileStore(whole);
    await store.saveOutbox({ add: [messageOf("a")], remove: [] });
    const keptBytes = statSync(whole).size;
    await store.saveOutbox({ add: [messageOf("b")], remove: ["a"] });
    const text = readFileSync(whole);
    for (let bytes = keptBytes; bytes < text.length; bytes++) {
      const path = fresh();
      writeFileSync(path, text.subarray(0, bytes));
      const cut = new FileStore(path);
      assert.deepEqual(
        (await cut.loadOutbox()).map(({ id }) => id),
        ["a"],
      );
      await cut.saveOutbox({ add: [messageOf("c")], remove: [] });
      assert.deepEqual(
        (await new FileStore(path).loadOutbox()).map(({ id }) => id),
        ["a", "c"],
      );
    }
  });

  it("drops a last line whose middle a crash kept from the disk, but not the only one", async () => {
    const path = fresh();
    const store = new FileStore(path);
    await store.saveOutbox({ add: [messageOf("a")], remove: [] });
    const whole = readFileSync(path);
    const hole = Buffer.concat([Buffer.from('{"add":['), Buffer.alloc(20), Buffer.from("]}\n")]);
    appendFileSync(path, hole);
    assert.deepEqual(
      (await new FileStore(path).loadOutbox()).map(({ id }) => id),
      ["a"],
    );
    assert.deepEqual(readFileSync(path), whole);
    writeFileSync(path, hole);
    await assert.rejects(new FileStore(path).load(), { code: ClientCode.STORE_FAILED, message: /in line 1/ });
  });

  it("goes on when the disk was full in the middle of a line", () => {
    // A limit on the size of files cuts a write where a full disk does.
    const path = fresh();
    const code = `
      import assert from "node:assert/strict";
      import { FileStore } from ${JSON.stringify(import.meta.resolve("./file-store.ts"))};
      const store = new FileStore(${JSON.stringify(path)});
      const message = (id, bytes) => ({ id, userId: "", to: "b", conversationId: "", contentType: "", content: new Uint8Array(bytes) });
      await store.saveOutbox({ add: [message("a", 10)], remove: [] });
      for (let n = 0; n < 2; n++)
        await assert.rejects(store.saveOutbox({ add: [message("large", 9000)], remove: [] }), { code: ${ClientCode.STORE_FAILED} });
      await store.saveOutbox({ add: [message("b", 10)], remove: [] });
      await store.save({ userId: "a", epoch: "e", cursor: 5 });`;
    const file = `${path}.mjs`;
    writeFileSync(file, code);
    execFileSync("bash", ["-c", 'trap "" XFSZ; ulimit -f 4; exec "$0" "$1"', process.execPath, file], {
      timeout: 60_000,
      stdio: "pipe",
    });
    const lines = readFileSync(path, "utf8").trimEnd().split("\n");
    assert.deepEqual(
      lines.map((line) => (JSON.parse(line) as { add?: { id: string }[] }).add?.map(({ id }) => id)),
      [["a"], ["b"], undefined],
    );
  });

  it("keeps on saving where the file cannot be written anew", async () => {
    const path = fresh();
    // In the way of the file that takes its place.
    mkdirSync(`${path}.next`);
    const store = new FileStore(path);
    for (let n = 0; n < 40; n++) await store.saveOutbox({ add: [messageOf("a", 5_000)], remove: ["a"] });
    await store.save({ userId: "a", epoch: "e", cursor: 7 });
    assert.ok(statSync(path).size > 64 * 1024);
    assert.equal((await new FileStore(path).load())?.cursor, 7);
    rmSync(`${path}.next`, { recursive: true });
    for (let n = 0; n < 60; n++) await store.saveOutbox({ add: [messageOf("a", 5_000)], remove: ["a"] });
    assert.ok(statSync(path).size <= 128 * 1024, "once it can be, it is");
  });

  it("says by its code that a save failed, whatever failed", async () => {
    const inTheWay = fresh();
    writeFileSync(inTheWay, "");
    const store = new FileStore(join(inTheWay, "file"));
    await assert.rejects(store.save({ userId: "a", epoch: "e", cursor: 1 }), { code: ClientCode.STORE_FAILED });
  });

  it("says what to do when the file is damaged, or is no file", async () => {
    const path = fresh();
    await new FileStore(path).save({ userId: "a", epoch: "e", cursor: 1 });
    appendFileSync(path, "no json\n{}\n");
    const damaged = { code: ClientCode.STORE_FAILED, message: /is damaged in line 2: remove it to begin anew/ };
    await assert.rejects(new FileStore(path).load(), damaged);
    await assert.rejects(new FileStore(path).save({ userId: "a", epoch: "e", cursor: 2 }), damaged);
    const folder = fresh();
    mkdirSync(folder);
    await assert.rejects(new FileStore(folder).load(), { code: ClientCode.STORE_FAILED, message: /EISDIR/ });
  });

  it("stays as small as what it holds, whatever was written", async () => {
    const path = fresh();
    const store = new FileStore(path);
    for (let n = 0; n < 300; n++) {
      await store.saveOutbox({ add: [messageOf(`m${n}`, 1000)], remove: n > 0 ? [`m${n - 1}`] : [] });
      await store.save({ userId: "a", epoch: "e", cursor: n });
    }
    assert.ok(statSync(path).size <= 128 * 1024, `${statSync(path).size} bytes`);
    const again = new FileStore(path);
    assert.deepEqual([(await again.load())?.cursor, (await again.loadOutbox()).map(({ id }) => id)], [299, ["m299"]]);
  });
});
