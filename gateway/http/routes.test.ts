// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { PendingSocket } from "../listen/sniff.ts";
import { HashedWheel } from "../session/heartbeat/wheel.ts";
import { HttpRoutes, type HttpRoutesOptions } from "./routes.ts";

describe("a login over HTTP", () => {
  for (const path of ["/v1/stream", "/v1/poll"]) {
    it(`to ${path} behind an answer that is not read ends the socket, and opens nothing`, async () => {
      const socket = new Socket();
      const request = new IncomingMessage(socket);
      Object.assign(request, { method: "POST", url: path, headers: { "content-type": "application/octet-stream" } });
      const heartbeats = new HashedWheel(new FakeClock());
      const pending = new PendingSocket(socket, 1, 10, {
        onFrames: () => undefined,
        onUpgrade: () => false,
        onHttp: () => undefined,
        onReleased: () => undefined,
      });
      const open = () => assert.fail("a connection was opened");
      const options: Partial<HttpRoutesOptions> = { heartbeats, origins: new Set(), isReady: () => true };
      const routes = new HttpRoutes({ ...options, admission: { open } } as unknown as HttpRoutesOptions);
      // Its socket still belongs to the response before.
      const response = new ServerResponse(request);
      routes.handle(path, { request, response, pending, startedTick: 1, mayStay: true });
      request.complete = true;
      request.push("HELLO");
      request.push(null);
      await new Promise((resolve) => socket.once("close", resolve));
      assert.deepEqual([response.headersSent, response.destroyed, response.shouldKeepAlive], [false, false, false]);
    });
  }
});
