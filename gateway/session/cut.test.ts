// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { listen } from "#lib/listen.ts";
import { createTestAuthority } from "../../e2e/harness/tls.ts";
import { PendingSocket } from "../listen/sniff.ts";
import { waitFor } from "../testing/wait.ts";
import { TcpCarrier } from "./carrier.ts";
import { cut } from "./cut.ts";

/** More than the kernel takes. */
const ANSWER = Buffer.alloc(64 * 1024 * 1024);

describe("cutting a client off", () => {
  const folder = mkdtempSync(join(tmpdir(), "im-cut-"));
  const accepted: Socket[] = [];
  const server = createServer();
  const tlsServer = createTlsServer();
  let port = 0;
  let isTls = false;
  before(async () => {
    await (await createTestAuthority(join(folder, "ca"))).issue(join(folder, "tls"), { dnsNames: ["im.test"] });
    const [cert, key] = ["tls.crt", "tls.key"].map((name) => readFileSync(join(folder, "tls", name)));
    tlsServer.setSecureContext({ cert, key });
    tlsServer.on("secureConnection", (socket) => accepted.push(socket));
    // As at the entry: TLS on a socket that came by another server.
    server.on("connection", (socket) => (isTls ? tlsServer.emit("connection", socket) : accepted.push(socket)));
    port = await listen(server, 0, "127.0.0.1");
  });
  after(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });

  /** A client that reads nothing yet, and its socket at the server. */
  async function pair(kind: "tcp" | "tls"): Promise<[Socket, Socket]> {
    isTls = kind === "tls";
    const client = isTls
      ? connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false })
      : connectTcp({ port, host: "127.0.0.1" });
    await once(client, isTls ? "secureConnect" : "connect");
    client.pause();
    const socket = await waitFor("the socket", () => accepted.pop());
    socket.on("error", () => undefined);
    return [client, socket];
  }

  /** How it ends for a client that begins to read: the code of its error, or undefined. */
  function endOf(client: Socket): Promise<string | undefined> {
    let code: string | undefined;
    client.on("error", (error: NodeJS.ErrnoException) => {
      code = error.code;
    });
    client.resume();
    return new Promise((resolve) => client.once("close", () => resolve(code)));
  }

  for (const kind of ["tcp", "tls"] as const) {
    it(`${kind}: what it has not read is given up at once, in the kernel as well`, async () => {
      const [client, socket] = await pair(kind);
      socket.write(ANSWER);
      const closed = once(socket, "close");
      await waitFor("a full socket", () => socket.writableLength > 0 && socket.bytesWritten > 0);
      cut(socket);
      await closed;
      assert.equal(await endOf(client), "ECONNRESET");
    });

    it(`${kind}: who has read everything sees an orderly end`, async () => {
      const [client, socket] = await pair(kind);
      const ended = endOf(client);
      socket.write("short");
      await waitFor("the short answer", () => client.bytesRead >= 5 && socket.writableLength === 0);
      cut(socket);
      assert.equal(await ended, undefined);
    });

    it(`${kind}: so does a connection that had its time to end`, async () => {
      const [client, socket] = await pair(kind);
      const carrier = new TcpCarrier(socket);
      carrier.write(ANSWER);
      const closed = once(socket, "close");
      await waitFor("a full socket", () => socket.writableLength > 0 && socket.bytesWritten > 0);
      carrier.destroy();
      await closed;
      assert.equal(await endOf(client), "ECONNRESET");
    });

    it(`${kind}: a socket that is no connection yet is cut off when its time is over`, async () => {
      const [client, socket] = await pair(kind);
      let released = 0;
      const nobody = {
        onFrames: () => assert.fail(),
        onUpgrade: () => assert.fail(),
        onHttp: () => assert.fail(),
        onReleased: () => released++,
      };
      const pending = new PendingSocket(socket, 0, 1, nobody);
      socket.write(ANSWER);
      const closed = once(socket, "close");
      await waitFor("a full socket", () => socket.writableLength > 0 && socket.bytesWritten > 0);
      pending.onDue();
      await closed;
      assert.equal(await endOf(client), "ECONNRESET");
      assert.equal(released, 1);
    });
  }
});
