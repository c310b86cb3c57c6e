// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { describe, it } from "node:test";
import { listen } from "#lib/listen.ts";
import { queuedBytes, queuedBytesIn } from "./send-queues.ts";

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000005:00000000 00:00000000 00000000     0        0 1 1 0
   1: 0100007F:1F90 0100007F:D431 01 00000100:00000007 01:00000014 00000000     0        0 2 1 0
   2: 0100007F:1F90 0100007F:D432 04 00001000:00000000 01:00000014 00000000     0        0 0 1 0
   3: 0100007F:D431 0100007F:1F90 01 00000777:00000000 00:00000000 00000000     0        0 3 1 0
`;

describe("what the kernel holds for slow readers", () => {
  it("is counted by the local port, without those that listen", () => {
    assert.equal(queuedBytesIn(TABLE, 8080), 0x1100);
    assert.equal(queuedBytesIn(TABLE, 0xd431), 0x777);
    assert.equal(queuedBytesIn("", 8080), 0);
  });

  it("is there for one that does not read, and gone with a reset", async () => {
    const server = createServer();
    const port = await listen(server, 0, "127.0.0.1");
    const accepted = once(server, "connection") as Promise<[Socket]>;
    const client = connect(port, "127.0.0.1").pause();
    client.on("error", () => undefined);
    try {
      const [socket] = await accepted;
      socket.write(Buffer.alloc(64 * 1024 * 1024));
      while (queuedBytes(port) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      socket.resetAndDestroy();
      await once(socket, "close");
      assert.equal(queuedBytes(port), 0);
    } finally {
      client.destroy();
      server.close();
    }
  });
});
