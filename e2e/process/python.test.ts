// SPDX-License-Identifier: Apache-2.0
// A client that shares no code with ours: what docs/protocol.md says is what the wire does.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { Command } from "#proto/commands.ts";
import { Pong, Welcome } from "#proto/gen/messages.ts";
import { VECTORS_FILE, type Vectors } from "../../proto/testdata/vectors.ts";
import { SERVER_NAME } from "../harness/fleet.ts";
import { freePort } from "../harness/ports.ts";
import { waitUntil } from "../harness/processes.ts";
import { provePython } from "../harness/python.ts";
import { callApi, createApiKey } from "./api-caller.ts";
import { login, targetOf, useFleet, waitMessages } from "./fleet-suite.ts";
import { RawConnection } from "./raw-connection.ts";

const WAIT_MS = 60_000;
const apiPort = await freePort();

describe("a client in another language", () => {
  const fleet = useFleet({ entries: 1, logics: 1, extlogics: 0, logicEnv: { IM_API_PORT: String(apiPort) } });
  const dir = mkdtempSync(join(tmpdir(), "im-python-"));
  /** How a program in Python comes to the entry. */
  function entryOf(): string[] {
    const ca = join(dir, "ca.crt");
    writeFileSync(ca, fleet().ca);
    return [
      "--host",
      "127.0.0.1",
      "--port",
      String(fleet().entry(0).tlsPort),
      "--server-name",
      SERVER_NAME,
      "--ca",
      ca,
    ];
  }
  after(() => rmSync(dir, { recursive: true }));

  it("agrees with every golden vector", async () => {
    const { vectors, failures } = await provePython(["vectors", VECTORS_FILE]);
    const golden = JSON.parse(readFileSync(VECTORS_FILE, "utf8")) as Vectors;
    assert.deepEqual(failures, []);
    assert.equal(
      vectors,
      Object.values(golden).reduce((sum, list) => sum + list.length, 0),
    );
  });

  it("notices a vector that is wrong, of each kind", async () => {
    const golden = JSON.parse(readFileSync(VECTORS_FILE, "utf8")) as Vectors;
    for (const vector of golden.frames.slice(0, 1)) vector.rid++;
    for (const vector of golden.decodeOnly.slice(0, 1)) vector.cmd++;
    for (const vector of golden.invalid.slice(0, 1)) vector.code++;
    for (const vector of golden.bodies.slice(0, 1)) vector.fields.deviceName = "another";
    const file = join(dir, "wrong.json");
    writeFileSync(file, JSON.stringify(golden));
    const { failures } = await provePython(["vectors", file]);
    const kinds = failures.map((failure) => failure.replace(/:.*/s, ""));
    assert.deepEqual(kinds.sort(), [
      "code 4500",
      "decode Hello",
      "decode frame",
      "decode frame",
      "encode Hello",
      "encode frame",
    ]);
  });

  it("logs in, sends, receives, and is understood by the SDK", async () => {
    const tokens = await Promise.all(["py-alice", "py-bob"].map((uid) => fleet().tokens.mint(uid)));
    const { failures, sent, received } = await provePython(["talk", ...entryOf(), "--tokens", ...tokens]);
    assert.deepEqual({ failures, sent, received }, { failures: [], sent: 2, received: 2 });
    const bob = await login(fleet(), "py-bob", targetOf(fleet(), "wss", 0));
    await waitMessages(bob, 2);
    assert.deepEqual(
      bob.messages.map(({ sender, text }) => [sender, text]),
      [
        ["py-alice", "你好 from Python 👋🏽"],
        ["py-bob", "hello back"],
      ],
    );
  });

  it("is told of broadcasts by the number in WELCOME and PONG, which a client that knows none passes over", async () => {
    const key = await createApiKey(fleet().postgresUrl, ["broadcasts:manage", "broadcasts:read"]);
    const broadcast = async (): Promise<number> => {
      const body = { contentType: "text/plain", content: "sale", audience: "all", notAfterMs: Date.now() + 3_600_000 };
      const made = await callApi(apiPort, { method: "POST", path: "/v1/broadcasts", key, body });
      const { body: shown } = await callApi(apiPort, {
        method: "GET",
        path: `/v1/broadcasts/${made.body.broadcastId}`,
        key,
      });
      assert.ok(Number(shown.activationSeq) > 0, JSON.stringify(shown));
      return Number(shown.activationSeq);
    };
    const [one, token] = [await RawConnection.open(fleet(), "tls"), await fleet().tokens.mint("py-heads")];
    one.hello(token);
    assert.equal(Welcome.decode((await one.frame(Command.WELCOME)).body).sysHead, 0, "there is none yet");
    let rid = 1;
    const pong = async (): Promise<Pong> => {
      one.send(Command.PING, ++rid, new Uint8Array(0));
      return Pong.decode((await one.answer(rid)).body);
    };
    assert.deepEqual([(await pong()).sysHead, (await pong()).inboxHead], [0, 0]);
    for (let count = 0; count < 2; count++) {
      const head = await broadcast();
      await waitUntil("PONG says so", async () => (await pong()).sysHead === head, WAIT_MS);
      // Of nobody's inbox.
      assert.equal((await pong()).inboxHead, 0);
      const other = await RawConnection.open(fleet(), "tls");
      other.hello(await fleet().tokens.mint("py-other"));
      assert.equal(Welcome.decode((await other.frame(Command.WELCOME)).body).sysHead, head);
      other.destroy();
      const told = await provePython(["heads", ...entryOf(), "--token", await fleet().tokens.mint("py-third")]);
      assert.deepEqual({ ...told }, { failures: [], inboxHead: 0, sysHead: head });
    }
    one.destroy();
  });
});
