// SPDX-License-Identifier: Apache-2.0
// Sessions over HTTP whose requests a load balancer brings to another entry than the one that holds their downlink.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { createChannelClient, loadInternalTls } from "#lib/grpc.ts";
import { Command } from "#proto/commands.ts";
import { serviceDefinition } from "#proto/load.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { createTestAuthority, issueRoleFolders } from "../e2e/harness/tls.ts";
import { startReadyEntry } from "./testing/entry-kit.ts";
import { FakeLogic } from "./testing/fake-logic.ts";
import { FrameClient } from "./testing/frame-client.ts";
import type { HttpLink } from "./testing/http-link.ts";
import { waitFor } from "./testing/wait.ts";

type TestEntry = Awaited<ReturnType<typeof startReadyEntry>>;
const ROLES = ["entry", "logic", "operator"] as const;
const DENIED = { code: 4 };

describe("a request that comes to another entry", () => {
  const root = mkdtempSync(join(tmpdir(), "im-entry-relay-"));
  const cleanups: (() => Promise<unknown> | unknown)[] = [];
  let dirs: Record<(typeof ROLES)[number], string>;
  before(async () => {
    dirs = await issueRoleFolders(await createTestAuthority(join(root, "ca")), join(root, "roles"), ROLES);
  });
  afterEach(async () => {
    for (const undo of cleanups.splice(0).reverse()) await undo();
  });
  after(() => rmSync(root, { recursive: true }));

  /** An entry with a logic of its own: only the client's requests connect the two. */
  async function start(): Promise<TestEntry & { logic: FakeLogic }> {
    const tls = loadInternalTls(dirs.logic);
    const logic = await FakeLogic.start(tls ? { tls } : {});
    cleanups.push(() => logic.close());
    const entry = await startReadyEntry([logic.target], { internalTlsDir: dirs.entry });
    cleanups.push(() => entry.close());
    return Object.assign(entry, { logic });
  }

  /** Downlink at the first entry, everything else at the second. */
  async function clientOf(mode: "sse" | "poll", holder: TestEntry, other: TestEntry) {
    const url = (entry: TestEntry): string => `http://127.0.0.1:${entry.plainPort}`;
    const client = FrameClient.http(mode, url(holder), url(other)) as FrameClient & { http: HttpLink };
    cleanups.push(() => client.close());
    await client.login("bob");
    await waitFor("lease", () => client.http.lease);
    return client;
  }

  for (const mode of ["sse", "poll"] as const) {
    it(`is passed on to the one that holds the ${mode}, and answered there`, async () => {
      const [holder, other] = [await start(), await start()];
      const client = await clientOf(mode, holder, other);
      for (let rid = 1; rid <= 5; rid++) client.send(Command.SEND, rid, Buffer.from(`message ${rid}`));
      await client.wait(Command.SEND_ACK, 5);
      assert.deepEqual(
        client.ofCmd(Command.SEND_ACK).map(({ rid }) => rid),
        Array.from({ length: 5 }, (_, index) => index + 1),
      );
      assert.deepEqual([holder.status().sessions, other.status().connections], [1, 0]);
      assert.ok(client.http.statuses.every((status) => status === 204));
      client.raw(Buffer.from([0]));
      await client.waitClosed();
      assert.equal(client.closeCode, DisconnectCode.BAD_FRAME);
    });

    it(`hears that the entry of the ${mode} is gone`, async () => {
      const [holder, other] = [await start(), await start()];
      const client = await clientOf(mode, holder, other);
      await holder.close();
      await client.waitClosed();
      client.send(Command.SEND, 1);
      await waitFor("status", () => client.http.statuses.length === 1);
      assert.equal(client.http.statuses[0], 410);
    });
  }

  it("can end the session", async () => {
    const [holder, other] = [await start(), await start()];
    const client = await clientOf("poll", holder, other);
    const url = `http://127.0.0.1:${other.plainPort}`;
    const response = await client.http.request(url, "/v1/close", Buffer.alloc(0), { "im-lease": client.http.lease });
    assert.equal(response.status, 204);
    await holder.logic.wait(RecordKind.CLOSED);
    assert.equal(holder.status().connections, 0);
  });

  it("is passed on for entries only", async () => {
    const entry = await start();
    const definition = serviceDefinition("im.uplink.v1.EntryRelay");
    for (const role of ["operator", "logic"] as const) {
      const tls = loadInternalTls(dirs[role]);
      const client = createChannelClient({
        address: `127.0.0.1:${entry.ports.control}`,
        definition,
        role: "entry",
        tls,
      });
      cleanups.push(() => client.close());
      await assert.rejects(client.call("Close", { conn: 1, nonce: "" }, 5000), DENIED);
    }
  });
});
