// SPDX-License-Identifier: Apache-2.0
// A client that shares no code with ours: what docs/protocol.md says is what the wire does.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { VECTORS_FILE, type Vectors } from "../../proto/testdata/vectors.ts";
import { SERVER_NAME } from "../harness/fleet.ts";
import { provePython } from "../harness/python.ts";
import { login, targetOf, useFleet, waitMessages } from "./fleet-suite.ts";

describe("a client in another language", () => {
  const fleet = useFleet({ entries: 1, logics: 1, extlogics: 0 });
  const dir = mkdtempSync(join(tmpdir(), "im-python-"));
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
    const ca = join(dir, "ca.crt");
    writeFileSync(ca, fleet().ca);
    const tokens = await Promise.all(["py-alice", "py-bob"].map((uid) => fleet().tokens.mint(uid)));
    const { failures, sent, received } = await provePython([
      ...["talk", "--host", "127.0.0.1", "--port", String(fleet().entry(0).tlsPort)],
      ...["--server-name", SERVER_NAME, "--ca", ca, "--tokens", ...tokens],
    ]);
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
});
