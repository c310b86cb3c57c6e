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
import { startGrpcTwin } from "./grpc-twin.ts";
import { startApiListener } from "./listener.ts";
import { OPERATIONS } from "./operations/index.ts";

interface Identity {
  cert?: Buffer;
  key?: Buffer;
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
  const ask = (port: number, identity: Identity = {}): Promise<number | string> =>
    new Promise((resolve) => {
      const options = { host: "127.0.0.1", port, servername: "localhost", ca: authority.ca, agent: false, ...identity };
      const asked = request(options, (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode ?? 0));
      });
      asked.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      asked.end();
    });

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
    /** The status of the call: 16 comes from the API itself, 14 from a connection that was not let in. */
    const call = ({ cert, key }: Identity): Promise<number | undefined> => {
      const channel = grpc.createSsl(Buffer.from(authority.ca), key ?? null, cert ?? null);
      const caller = new Client(`127.0.0.1:${twin.port}`, channel, { "grpc.ssl_target_name_override": "localhost" });
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
    try {
      assert.equal(await call(client()), 16);
      assert.equal(await call({}), 14);
    } finally {
      await twin.close();
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
