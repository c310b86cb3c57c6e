// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { Network } from "./network.ts";

const noSockets = () => assert.fail("no WebSocket is dialled");

describe("the network of the page", () => {
  it("has no way by HTTP while it is offline, and breaks requests under way", async () => {
    const server = createServer((request, response) => {
      // The one is answered, the other never.
      if (request.url === "/") response.end("ok");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const network = new Network(noSockets);
      assert.equal((await network.fetch(url, {})).status, 200);
      const hanging = network.fetch(`${url}/never`, {});
      hanging.catch(() => undefined);
      network.setOnline(false);
      await assert.rejects(hanging, { name: "AbortError" });
      await assert.rejects(network.fetch(url, {}), /offline/);
      network.setOnline(true);
      assert.equal((await network.fetch(url, {})).status, 200);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
});
