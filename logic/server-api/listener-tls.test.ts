// SPDX-License-Identifier: Apache-2.0
// The listener behind TLS: with a certificate of its own, and with callers that must show theirs.
import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Client, credentials as grpc, type MethodDefinition } from "@grpc/grpc-js";
import { readTlsFiles, type TlsFiles } from "#lib/tls-files.ts";
import { apiServiceDefinition } from "#proto/load.ts";
import { temporaryFolder } from "../../e2e/harness/folders.ts";
import { createTestAuthority, type TestAuthority } from "../../e2e/harness/tls.ts";
import { makeKey } from "./api-key.ts";
import { TestApi } from "./api-kit.ts";
import { startGrpcTwin } from "./grpc-twin.ts";
import { parseKeyFile } from "./key-file.ts";
import { startApiListener } from "./listener.ts";
import { OPERATIONS } from "./operations/index.ts";

interface Identity {
  cert?: Buffer;
  key?: Buffer;
}

interface Asked extends Identity {
  path?: string;
  authorization?: string;
}

describe("the listener of the API with TLS", () => {
  const dir = temporaryFolder("im-api-tls-");
  let authority: TestAuthority;
  let files: TlsFiles;
  before(async () => {
    authority = await createTestAuthority(join(dir, "ca"));
    await authority.issue(join(dir, "server"), { dnsNames: ["localhost"] });
    await authority.issue(join(dir, "client"), { dnsNames: ["shop"] });
    files = { ...readTlsFiles(join(dir, "server")), ca: undefined };
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  const desk = { handle: async () => ({ status: 200, headers: {}, body: "hello" }) };
  const client = (): Identity => ({
    cert: readFileSync(join(dir, "client", "tls.crt")),
    key: readFileSync(join(dir, "client", "tls.key")),
  });

  /** The status, or the error's code. */
  const ask = (port: number, { authorization, ...asked }: Asked = {}): Promise<number | string> =>
    new Promise((resolve) => {
      const headers = authorization === undefined ? {} : { authorization };
      const place = { host: "127.0.0.1", port, servername: "localhost", ca: authority.ca, agent: false as const };
      const sent = request({ ...place, headers, ...asked }, (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode ?? 0));
      });
      sent.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      sent.end();
    });

  /** The status of a call over gRPC, undefined = done: 16 comes from the API itself, 14 from a connection that was not let in. */
  const callTwin = (port: number, { cert, key }: Identity): Promise<number | undefined> => {
    const channel = grpc.createSsl(Buffer.from(authority.ca), key ?? null, cert ?? null);
    const caller = new Client(`127.0.0.1:${port}`, channel, { "grpc.ssl_target_name_override": "localhost" });
    const { path, requestSerialize, responseDeserialize } = apiServiceDefinition().ReadMute as MethodDefinition<
      object,
      object
    >;
    return new Promise((resolve) => {
      const deadline = { deadline: Date.now() + 5000 };
      caller.makeUnaryRequest(path, requestSerialize, responseDeserialize, { userId: "a" }, deadline, (error) => {
        resolve(error?.code);
        caller.close();
      });
    });
  };

  it("proves who it is", async () => {
    const listener = await startApiListener({ port: 0, desk, document: "{}", tls: files });
    try {
      assert.equal(await ask(listener.port), 200);
      await assert.rejects(fetch(`http://127.0.0.1:${listener.port}/`), "no plain HTTP");
    } finally {
      await listener.close();
    }
  });

  it("lets in only who shows a certificate of the CA, where there is one", async () => {
    const other = await createTestAuthority(join(dir, "other-ca"));
    const stranger = await other.issue(join(dir, "stranger"), { dnsNames: ["shop"] });
    const strange = {
      cert: readFileSync(join(stranger.dir, "tls.crt")),
      key: readFileSync(join(stranger.dir, "tls.key")),
    };
    const tls = { ...files, ca: Buffer.from(authority.ca) };
    const listener = await startApiListener({ port: 0, desk, document: "{}", tls });
    try {
      assert.equal(await ask(listener.port, client()), 200);
      for (const identity of [{}, strange]) assert.equal(typeof (await ask(listener.port, identity)), "string");
    } finally {
      await listener.close();
    }
  });

  it("is as strict over gRPC", async () => {
    const unauthenticated = { status: 401, headers: {}, body: '{"code":"unauthenticated","detail":"no key"}' };
    const twinDesk = { handle: async () => unauthenticated };
    const tls = { ...files, ca: Buffer.from(authority.ca) };
    const twin = await startGrpcTwin({ port: 0, operations: OPERATIONS, desk: twinDesk, tls });
    try {
      assert.equal(await callTwin(twin.port, client()), 16);
      assert.equal(await callTwin(twin.port, {}), 14);
    } finally {
      await twin.close();
    }
  });

  it("lets a client certificate stand for a key, over HTTP and gRPC, until it is revoked", async () => {
    const other = await createTestAuthority(join(dir, "strange-ca"));
    const read = (name: string): Identity => ({
      cert: readFileSync(join(dir, name, "tls.crt")),
      key: readFileSync(join(dir, name, "tls.key")),
    });
    await authority.issue(join(dir, "unbound"), { dnsNames: ["nobody"] });
    await authority.issue(join(dir, "expired"), { dnsNames: ["shop"], days: -1 });
    await other.issue(join(dir, "strange"), { dnsNames: ["shop"] });
    const { keyId } = makeKey();
    const entry = { keyId, certificates: ["dns:shop"], name: "shop", scopes: ["users:read"] };
    const api = new TestApi(100_000, parseKeyFile(JSON.stringify([entry])));
    await api.start();
    const tls = { ...files, ca: Buffer.from(authority.ca) };
    const listener = await startApiListener({ port: 0, desk: api.desk, document: "{}", tls });
    const twin = await startGrpcTwin({ port: 0, operations: OPERATIONS, desk: api.desk, tls });
    const path = "/v1/users/alice/mute";
    try {
      const own = read("client");
      assert.equal(await ask(listener.port, { ...own, path }), 200);
      assert.equal(await callTwin(twin.port, own), undefined);
      assert.equal(await ask(listener.port, { ...own, path: "/v1/holds" }), 403, "another scope");
      assert.equal(await ask(listener.port, { ...own, path, authorization: `Bearer ${makeKey().text}` }), 401);
      assert.equal(await ask(listener.port, { ...read("unbound"), path }), 401);
      assert.equal(await callTwin(twin.port, read("unbound")), 16);
      for (const name of ["strange", "expired"]) {
        assert.equal(typeof (await ask(listener.port, { ...read(name), path })), "string", name);
        assert.equal(await callTwin(twin.port, read(name)), 14, name);
      }
      const [row] = await api.store.serverApi.readAudit("", { before: 0, limit: 1 });
      assert.equal(row?.keyId, keyId);
      await api.store.serverApi.revokeKey(keyId);
      api.clock.advance(5000);
      assert.equal(await ask(listener.port, { ...own, path }), 401);
      assert.equal(await callTwin(twin.port, own), 16);
    } finally {
      await Promise.all([listener.close(), twin.close()]);
      api.close();
    }
  });

  it("shows a renewed certificate without a restart", async () => {
    const listener = await startApiListener({ port: 0, desk, document: "{}", tls: files });
    try {
      assert.equal(await ask(listener.port), 200);
      const other = await createTestAuthority(join(dir, "next-ca"));
      await other.issue(join(dir, "next"), { dnsNames: ["localhost"] });
      listener.setTls({ ...readTlsFiles(join(dir, "next")), ca: undefined });
      assert.equal(typeof (await ask(listener.port)), "string", "of another authority");
    } finally {
      await listener.close();
    }
  });
});
