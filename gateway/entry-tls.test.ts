// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { connect as connectTcp, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { loadInternalTls } from "#lib/grpc.ts";
import { listen } from "#lib/listen.ts";
import { Command } from "#proto/commands.ts";
import { createTestAuthority, issueRoleFolders, type TestAuthority } from "../e2e/harness/tls.ts";
import type { RunningEntry } from "./entry.ts";
import { startReadyEntry, startTestEntry } from "./testing/entry-kit.ts";
import { FakeLogic } from "./testing/fake-logic.ts";
import { FrameClient } from "./testing/frame-client.ts";
import { waitFor } from "./testing/wait.ts";

const NAME = "im.test";

describe("the TLS port", () => {
  const root = mkdtempSync(join(tmpdir(), "im-entry-tls-"));
  const tlsDir = join(root, "tls");
  const demoDir = join(root, "demo");
  let authority: TestAuthority;
  let logic: FakeLogic;
  let entry: RunningEntry;
  let options: ConnectionOptions;
  let roles: Record<"entry" | "logic", string>;

  before(async () => {
    authority = await createTestAuthority(join(root, "ca"));
    await authority.issue(tlsDir, { dnsNames: [NAME] });
    roles = await issueRoleFolders(authority, join(root, "roles"), ["entry", "logic"] as const);
    mkdirSync(demoDir);
    writeFileSync(join(demoDir, "index.html"), "<title>demo</title>");
    writeFileSync(join(demoDir, ".hidden"), "secret");
    writeFileSync(join(root, "outside.txt"), "secret");
    symlinkSync(join(root, "outside.txt"), join(demoDir, "link.txt"));
    const tls = loadInternalTls(roles.logic);
    logic = await FakeLogic.start(tls ? { tls } : {});
    entry = await startReadyEntry([logic.target], { tlsDir, demoDir, internalTlsDir: roles.entry });
    options = { ca: authority.ca, servername: NAME };
  });
  after(async () => {
    await entry.close();
    await logic.close();
    rmSync(root, { recursive: true });
  });

  const port = (): number => entry.ports.tls ?? assert.fail("no TLS port");

  const login = async (client: FrameClient, user: string): Promise<void> => {
    await client.login(user);
    client.send(Command.SEND, 1);
    await client.wait(Command.SEND_ACK);
    client.close();
  };

  it("takes frames by ALPN, frames without ALPN, and WebSocket, on one port", async () => {
    await login(await FrameClient.tls(port(), { ...options, ALPNProtocols: ["im/1"] }), "a");
    await login(await FrameClient.tls(port(), options), "b");
    const url = `wss://127.0.0.1:${port()}/ws`;
    await login(await FrameClient.websocket(url, { ...options, ALPNProtocols: ["http/1.1"] }), "c");
    assert.deepEqual(logic.received.filter(({ kind }) => kind === 3).length, 3);
  });

  it("speaks TLS 1.3 and nothing older", async () => {
    const outcome = (version: "TLSv1.2" | "TLSv1.3"): Promise<string> =>
      new Promise((resolve) => {
        const socket = connectTls({
          port: port(),
          host: "127.0.0.1",
          ...options,
          minVersion: "TLSv1.2",
          maxVersion: version,
        });
        socket.on("secureConnect", () => {
          resolve(socket.getProtocol() ?? "");
          socket.destroy();
        });
        socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      });
    assert.equal(await outcome("TLSv1.3"), "TLSv1.3");
    assert.match(await outcome("TLSv1.2"), /ALERT|ECONNRESET/);
  });

  const dialTls = (at: number, session?: Buffer) => {
    const resume = session ? { session } : {};
    return connectTls({ port: at, host: "127.0.0.1", ...options, ALPNProtocols: ["im/1"], ...resume });
  };
  /** A ticket of that entry; in TLS 1.3 it comes behind the handshake. */
  const ticketOf = async (at: number): Promise<Buffer> => {
    const socket = dialTls(at);
    const [ticket] = (await once(socket, "session")) as [Buffer];
    socket.destroy();
    return ticket;
  };
  const isResumed = async (at: number, ticket: Buffer): Promise<boolean> => {
    const socket = dialTls(at, ticket);
    await once(socket, "secureConnect");
    const isReused = socket.isSessionReused();
    socket.destroy();
    return isReused;
  };

  it("resumes at another entry what one has begun", async () => {
    const other = await startTestEntry([], { tlsDir, internalTlsDir: roles.entry });
    try {
      const otherPort = other.ports.tls ?? 0;
      assert.equal(await isResumed(otherPort, await ticketOf(port())), true);
      assert.equal(await isResumed(port(), await ticketOf(otherPort)), true);
    } finally {
      await other.close();
    }
  });

  it("takes a ticket of strangers for none", async () => {
    const roles = await issueRoleFolders(authority, join(root, "strangers"), ["entry"] as const);
    const other = await startTestEntry([], { tlsDir, internalTlsDir: roles.entry });
    try {
      assert.equal(await isResumed(port(), await ticketOf(other.ports.tls ?? 0)), false);
    } finally {
      await other.close();
    }
  });

  describe("where the cluster allows TLS 1.2", () => {
    let other: RunningEntry;
    before(async () => {
      other = await startTestEntry([], { tlsDir, tlsMinVersion: "TLSv1.2" });
    });
    after(() => other.close());

    const dial12 = (more: ConnectionOptions = {}) =>
      connectTls({ port: other.ports.tls ?? 0, host: "127.0.0.1", ...options, maxVersion: "TLSv1.2", ...more });

    it("speaks it with ciphers that authenticate what they encrypt, and no others", async () => {
      for (const ciphers of ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"]) {
        const socket = dial12({ ciphers });
        await once(socket, "secureConnect");
        assert.deepEqual([socket.getProtocol(), socket.getCipher().name], ["TLSv1.2", ciphers]);
        socket.destroy();
      }
      const refused = ["AES256-SHA384", "AES128-SHA256", "AES256-SHA", "AES128-SHA"];
      for (const name of refused) {
        const socket = dial12({ ciphers: `ECDHE-ECDSA-${name}` });
        await assert.rejects(once(socket, "secureConnect"), /alert|ECONNRESET/, name);
        socket.destroy();
      }
    });

    it("renegotiates nothing", async () => {
      const socket = dial12();
      await once(socket, "secureConnect");
      await assert.rejects(
        new Promise<void>((resolve, reject) => {
          socket.on("error", reject);
          socket.renegotiate({}, (error) => (error ? reject(error) : resolve()));
        }),
        /RENEGOTIATION/i,
      );
      socket.destroy();
    });
  });

  it("plain bytes are no handshake: closed, and the entry lives", async () => {
    const socket = connectTcp(port(), "127.0.0.1");
    let isClosed = false;
    socket.on("close", () => {
      isClosed = true;
    });
    socket.on("error", () => socket.destroy());
    socket.write("GET / HTTP/1.1\r\n\r\n");
    await waitFor("close", () => isClosed);
    await login(await FrameClient.tls(port(), options), "d");
  });

  it("a hello in pieces is one, and so are messages larger than any buffer", async () => {
    const proxy = createServer((client) => {
      const upstream = connectTcp(port(), "127.0.0.1");
      let isFirst = true;
      client.on("data", (chunk: Buffer) => {
        upstream.write(isFirst ? chunk.subarray(0, 3) : chunk);
        if (isFirst) setTimeout(() => upstream.write(chunk.subarray(3)), 50);
        isFirst = false;
      });
      upstream.setNoDelay(true).pipe(client);
      for (const socket of [client, upstream]) socket.on("error", () => socket.destroy());
      client.on("close", () => upstream.destroy());
    });
    const proxyPort = await listen(proxy, 0, "127.0.0.1");
    const client = await FrameClient.tls(proxyPort, { ...options, ALPNProtocols: ["im/1"] });
    await client.login("f");
    for (let rid = 1; rid <= 3; rid++) client.send(Command.SEND, rid, Buffer.alloc(60_000, "x"));
    await client.wait(Command.SEND_ACK, 3);
    const sizes = logic.received.filter(({ body }) => body.length > 59_000).map(({ body }) => body.length);
    assert.deepEqual(sizes, [60_000, 60_000, 60_000]);
    client.close();
    proxy.close();
  });

  it("who says nothing at all has begun no handshake: counted and closed", async () => {
    const failures = async (): Promise<number> => {
      const text = await (await fetch(`http://127.0.0.1:${entry.ports.admin}/metrics`)).text();
      return Number(/im_entry_handshake_failures_total\{stage="tls"\} (\d+)/.exec(text)?.[1] ?? 0);
    };
    const before = await failures();
    const socket = connectTcp(port(), "127.0.0.1");
    await once(socket, "connect");
    socket.end();
    await once(socket, "close");
    // The entry ended its side when it counted it.
    assert.equal(await failures(), before + 1);
  });

  const get = (path: string): Promise<{ status: number; text: string; headers: Record<string, unknown> }> =>
    new Promise((resolve, reject) => {
      const call = request({ host: "127.0.0.1", port: port(), path, ...options }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text, headers: response.headers }));
      });
      call.on("error", reject);
      call.end();
    });

  it("serves the demo folder, and nothing outside it", async () => {
    const index = await get("/demo/");
    assert.deepEqual([index.status, index.text], [200, "<title>demo</title>"]);
    assert.match(String(index.headers["content-security-policy"]), /default-src 'self'/);
    assert.match(String(index.headers["strict-transport-security"]), /max-age/);
    assert.equal((await get("/demo")).status, 308);
    assert.equal((await get("/")).status, 308);
    const refused = [
      "/demo/.hidden",
      "/demo/link.txt",
      "/demo/../outside.txt",
      "/demo/%2e%2e/outside.txt",
      "/demo/none",
      "/demo/%00",
      "/demo/%zz",
    ];
    for (const path of refused) assert.equal((await get(path)).status, 404, path);
  });

  it("exchanges the certificate while connections stay", async () => {
    const serialNow = (): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = connectTls({ port: port(), host: "127.0.0.1", ...options });
        socket.on("secureConnect", () => {
          resolve(socket.getPeerCertificate().serialNumber);
          socket.destroy();
        });
        socket.on("error", reject);
      });
    const old = await FrameClient.tls(port(), options);
    await old.login("e");
    const serial = await serialNow();
    const ticket = await ticketOf(port());
    const next = join(root, "next");
    await authority.issue(next, { dnsNames: [NAME] });
    for (const name of ["tls.key", "tls.crt"]) copyFileSync(join(next, name), join(tlsDir, name));
    // The files are looked at every few seconds, perhaps for the first time while only one of them is new.
    for (const untilMs = performance.now() + 60_000; (await serialNow()) === serial; )
      assert.ok(performance.now() < untilMs, "the new certificate");
    assert.equal(await isResumed(port(), ticket), true);
    const text = await (await fetch(`http://127.0.0.1:${entry.ports.admin}/metrics`)).text();
    const { validToDate } = new X509Certificate(readFileSync(join(next, "tls.crt")));
    assert.match(text, new RegExp(`im_entry_certificate_expiry_timestamp_seconds ${validToDate.getTime() / 1000}\n`));
    old.send(Command.SEND, 2);
    await old.wait(Command.SEND_ACK);
    old.close();
  });
});
