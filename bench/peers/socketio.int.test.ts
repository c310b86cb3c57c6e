// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { describe, it } from "node:test";
import pg from "pg";
import { sharedPostgres } from "../../e2e/harness/postgres.ts";
import { startProcess, waitUntil } from "../../e2e/harness/processes.ts";
import type { LoadListener } from "../load-client.ts";
import { SocketIoUser } from "./socketio-user.ts";

describe("Socket.IO with one INSERT per message", () => {
  it("stores before it acknowledges, delivers, and keeps the size of a content", async () => {
    const postgresUrl = await (await sharedPostgres()).createDatabase(`peer_${randomUUID().slice(0, 8)}`);
    const args = [join(import.meta.dirname, "socketio-insert.ts"), JSON.stringify({ postgresUrl })];
    const server = await startProcess({ name: "Socket.IO", command: process.execPath, args });
    const client = new pg.Client({ connectionString: postgresUrl });
    const acked: number[] = [];
    const delivered: Buffer[] = [];
    const listener: LoadListener = {
      acked: (_, rid) => void acked.push(rid),
      delivered: (content) => void delivered.push(content),
      refused: (_, rid) => assert.fail(`request ${rid} was refused`),
      broken: (_, why) => assert.fail(why),
    };
    const [alice, bob] = ["alice", "bob"].map((id) => new SocketIoUser(id, listener)) as [SocketIoUser, SocketIoUser];
    try {
      const [, port] = await server.waitForOutput(/"port":(\d+)/, 30_000);
      for (const user of [alice, bob]) await user.login({ port: Number(port) });
      const content = Buffer.alloc(200, "x");
      content.writeDoubleLE(1234.5, 0);
      content.writeUInt32LE(77, 8);
      const rid = alice.send("bob", "m1", content);
      await waitUntil("stored and delivered", () => acked.length === 1 && delivered.length === 1);
      assert.deepEqual([acked, delivered[0]?.readDoubleLE(0), delivered[0]?.readUInt32LE(8)], [[rid], 1234.5, 77]);
      await client.connect();
      const { rows } = await client.query("SELECT sender, recipient, length(content) AS chars FROM message");
      assert.deepEqual(rows, [{ sender: "alice", recipient: "bob", chars: 200 }]);
    } finally {
      for (const user of [alice, bob]) user.close();
      await client.end();
      await server.stop();
    }
  });
});
