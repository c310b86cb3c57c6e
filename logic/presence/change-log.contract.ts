// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ChangeLog, LogPosition } from "./change-log.ts";

/** What the suite needs of an implementation; each test gets an empty log. */
export interface ChangeLogHarness {
  log: ChangeLog;
  /** FLUSHALL. */
  flush(): Promise<void>;
}

/** Everything after `position`, with where it ends. */
async function readAll(log: ChangeLog, position: LogPosition): Promise<{ userIds: string[]; position: LogPosition }> {
  const userIds: string[] = [];
  for (let at = position; ; ) {
    const page = await log.read(at);
    assert.equal(page.isGap, false);
    userIds.push(...page.userIds);
    at = page.position;
    if (!page.hasMore) return { userIds, position: at };
  }
}

/** The behaviour of a {@link ChangeLog}, run on the memory model and on Redis. */
export function changeLogContract(name: string, create: () => Promise<ChangeLogHarness>): void {
  describe(`change log contract: ${name}`, () => {
    it("begins at its end, and then tells each reader everything once", async () => {
      const { log } = await create();
      await log.append(["before"]);
      const start = await readAll(log, "");
      assert.deepEqual(start.userIds, []);
      await log.append(["alice", "bob.x:y_z@shop-1"]);
      await log.append([]);
      await log.append(["carol"]);
      const first = await readAll(log, start.position);
      assert.deepEqual(first.userIds, ["alice", "bob.x:y_z@shop-1", "carol"]);
      assert.deepEqual(await readAll(log, first.position), { userIds: [], position: first.position });
      assert.deepEqual((await readAll(log, start.position)).userIds, first.userIds, "another reader");
    });

    it("begins before anything was appended", async () => {
      const { log } = await create();
      const start = await readAll(log, "");
      assert.deepEqual(await readAll(log, start.position), { userIds: [], position: start.position });
      await log.append(["alice"]);
      assert.deepEqual((await readAll(log, start.position)).userIds, ["alice"]);
    });

    it("takes 10,000 users at once and reads them in pages", async () => {
      const { log } = await create();
      const start = await readAll(log, "");
      const many = Array.from({ length: 10_000 }, (_, at) => `user-${at}`);
      await log.append(many);
      assert.deepEqual((await readAll(log, start.position)).userIds, many);
      for (let at = 0; at < 450; at++) await log.append([`late-${at}`]);
      assert.equal((await readAll(log, start.position)).userIds.length, 10_450);
    });

    it("says that it forgot what a slow reader has not read, once", async () => {
      const { log } = await create();
      await log.append(["alice"]);
      const start = await readAll(log, "");
      for (let at = 0; at < 25; at++)
        await Promise.all(Array.from({ length: 100 }, (_, n) => log.append([`${at}-${n}`])));
      const page = await log.read(start.position);
      assert.deepEqual([page.isGap, page.userIds], [true, []]);
      await log.append(["bob"]);
      assert.deepEqual((await readAll(log, page.position)).userIds, ["bob"]);
    });

    it("says that it lost its memory, once, whether or not there is something new", async () => {
      for (const after of [[], ["carol"]]) {
        const { log, flush } = await create();
        await log.append(["alice"]);
        const start = await readAll(log, "");
        await flush();
        await log.append(after);
        const page = await log.read(start.position);
        assert.equal(page.isGap, true);
        await log.append(["bob"]);
        assert.deepEqual((await readAll(log, page.position)).userIds, ["bob"]);
      }
    });
  });
}
