// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, describe, it } from "node:test";
import { systemClock } from "#lib/clock.ts";
import type { ImCluster } from "../../operator/api/v1alpha1.ts";
import type { Access } from "../access.ts";
import { parseCommandLine } from "../command-line.ts";
import { CliFault, EXIT } from "../fault.ts";
import { forwardedPort } from "../forwarded-port.ts";
import type { CommandContext } from "../run.ts";
import { PLAIN } from "../text.ts";
import { admin, forwardArgs, keyHint, localPort, schemeOf } from "./admin.ts";

const folder = mkdtempSync(join(tmpdir(), "kubectl-im-admin-"));
after(() => rmSync(folder, { recursive: true }));

const clusterWith = (serverApi?: object): ImCluster =>
  ({ metadata: { name: "demo", namespace: "shop" }, spec: { logic: { serverApi } } }) as ImCluster;

/** A program called kubectl in a folder of its own, and how the command is run with it. */
function setUp(name: string, script: string | undefined, words: readonly string[] = ["admin"]) {
  const bin = mkdtempSync(join(folder, `${name}-`));
  if (script !== undefined) {
    writeFileSync(join(bin, "kubectl"), `#!/bin/sh\n${script}\n`);
    chmodSync(join(bin, "kubectl"), 0o755);
  }
  const controller = new AbortController();
  const said = { out: "", err: "" };
  const access = {
    namespace: "shop",
    contextName: "ctx",
    cluster: async () => clusterWith({}),
  } as unknown as Access;
  const { flags, words: rest } = parseCommandLine(words);
  const context: CommandContext = {
    ...{ command: "admin", words: rest, flags, paint: PLAIN, timeoutMs: 20_000, clock: systemClock },
    terminal: {
      out(text) {
        said.out += text;
      },
      err(text) {
        said.err += text;
      },
      ...{ isTty: false, readInput: async () => "" },
    },
    env: { PATH: script === undefined ? bin : `${bin}${delimiter}${process.env.PATH}` },
    signal: controller.signal,
    access: () => access,
    show: () => assert.fail("it prints by itself"),
  };
  return { context, controller, said };
}

describe("kubectl im admin", () => {
  it("opens a way to the API's Service, says where the page is, and ends with Ctrl-C", async () => {
    const script = 'echo "$@" >&2; echo "Forwarding from 127.0.0.1:41234 -> 8090"; exec sleep 60';
    const { context, controller, said } = setUp("good", script, ["admin", "--port", "0"]);
    const running = admin(context);
    for (let turn = 0; turn < 2000 && !said.err.includes("Ctrl-C"); turn++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(said.out, "http://127.0.0.1:41234/admin/\n");
    assert.match(
      said.err,
      /-- node logic\/server-api\/keys-main\.ts create \\\n +--name admin --days 30 --scopes fleet:read/,
    );
    controller.abort();
    assert.equal(await running, EXIT.ok);
  });

  it("says what kubectl said when it cannot open it, or when it ends", async () => {
    const refused = setUp("refused", 'echo "error: services \\"demo-api\\" not found" >&2; exit 1');
    await assert.rejects(admin(refused.context), (error) => {
      assert.ok(error instanceof CliFault);
      assert.match(error.message, /demo-api" not found/);
      return true;
    });
    assert.equal(refused.said.out, "");
    const gone = setUp(
      "gone",
      'echo "Forwarding from 127.0.0.1:4 -> 8090"; echo "lost connection to pod" >&2; sleep 0.2; exit 1',
    );
    await assert.rejects(admin(gone.context), /lost connection to pod/);
    assert.equal(gone.said.out, "http://127.0.0.1:4/admin/\n");
    await assert.rejects(admin(setUp("none", undefined).context), /kubectl is not on PATH/);
  });

  it("asks the same cluster as this program does", () => {
    const where = { namespace: "shop", contextName: "ctx" };
    assert.deepEqual(forwardArgs(where, undefined, "demo", 8090), [
      ...["--context", "ctx", "--namespace", "shop", "port-forward"],
      ...["--address", "127.0.0.1", "svc/demo-api", "8090:8090"],
    ]);
    assert.deepEqual(forwardArgs(where, "/k", "demo", 0).slice(0, 2), ["--kubeconfig", "/k"]);
    assert.match(keyHint("shop", "demo"), /-n shop deploy\/demo-logic/);
  });

  it("knows whether there is a page, and how it is reached", () => {
    assert.equal(schemeOf(clusterWith({})), "http");
    assert.equal(schemeOf(clusterWith({ tlsSecretName: "api-tls" })), "https");
    assert.throws(() => schemeOf(clusterWith()), /the server API of demo is off/);
  });

  it("takes ports that are some, and reads the one that kubectl took", () => {
    assert.deepEqual([localPort(undefined), localPort("0"), localPort("9000")], [8090, 0, 9000]);
    for (const text of ["-1", "65536", "x", "1.5"]) assert.throws(() => localPort(text), /--port must be/);
    assert.equal(forwardedPort("Forwarding from 127.0.0.1:8090 -> 8090"), 8090);
    for (const line of ["Forwarding from [::1]:8090 -> 8090", "Handling connection for 8090", ""])
      assert.equal(forwardedPort(line), undefined);
  });
});
