// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { KubeError } from "../operator/kube/kube-error.ts";
import { CliFault, EXIT, faultOf } from "./fault.ts";
import { runWords } from "./testing.ts";

const folder = mkdtempSync(join(tmpdir(), "kubectl-im-"));
after(() => rmSync(folder, { recursive: true }));

function kubeconfig(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

/** A port of loopback where nobody listens. */
const NOWHERE = kubeconfig("nowhere", {
  apiVersion: "v1",
  kind: "Config",
  "current-context": "a",
  clusters: [{ name: "c", cluster: { server: "https://127.0.0.1:1" } }],
  users: [{ name: "u", user: {} }],
  contexts: [
    { name: "a", context: { cluster: "c", user: "u" } },
    { name: "b", context: { cluster: "c", user: "u", namespace: "shop" } },
  ],
});

describe("run", () => {
  it("prints help, also for one command, and exits with 0", async () => {
    const all = await runWords([]);
    assert.equal(all.code, EXIT.ok);
    assert.match(all.out, /^kubectl im: looks after ImClusters\.\n\n {2}status \[NAME\] +the fleet at a glance/);
    assert.match(all.out, /-o, --output FORMAT +text, json or yaml/);
    assert.ok(all.out.split("\n").length <= 40, "one screen");
    const one = await runWords(["logs", "--help"]);
    assert.match(one.out, /^kubectl im logs \[NAME\]: logs of all pods, merged by time\.\n/);
    assert.match(one.out, /-f, --follow +go on with what comes/);
    assert.match(one.out, /Rights {2}get, list imclusters; list pods; get pods\/log\n$/);
    const none = await runWords(["help", "frob"]);
    assert.deepEqual([none.code, none.out], [EXIT.usage, ""]);
  });

  it("completes words and prints scripts without asking anybody", async () => {
    assert.deepEqual(await runWords(["__complete", "st"]), { code: 0, out: "status\n", err: "" });
    assert.match((await runWords(["completion", "fish"])).out, /^# kubectl im/);
  });

  it("says what is wrong on stderr, with the remedy, in two lines", async () => {
    const wrong = await runWords(["status", "--frob"]);
    assert.equal(wrong.code, EXIT.usage);
    assert.equal(wrong.err, "error: status: Unknown option '--frob'\n`kubectl im help status` shows how it is used.\n");
  });

  it("colours on a terminal only, unless told otherwise", async () => {
    const hasColour = async (args: string[], over = {}) =>
      (await runWords(["help", "logs", ...args], over)).out.includes("\u001b[");
    assert.equal(await hasColour([]), false);
    assert.equal(await hasColour(["--color", "always"]), true);
    assert.equal(await hasColour(["--color", "never"], { isTty: true }), false);
    assert.equal(await hasColour([], { isTty: true }), true);
    assert.equal(await hasColour([], { isTty: true, env: { NO_COLOR: "1" } }), false);
    assert.equal(await hasColour([], { isTty: true, env: { TERM: "dumb" } }), false);
  });

  it("lets nothing through that a terminal would act on, on either stream", async () => {
    const path = join(folder, "\u001b]0;title\u0007\u009b2J");
    const wrong = await runWords(["status", "--kubeconfig", path, "--color", "always"], { isTty: true });
    assert.match(wrong.err, /there is no kubeconfig .*\\u001b\]0;title\\u0007\\u009b2J\n/);
    const completed = await runWords(["help", "frob\u001b[2J"]);
    assert.ok(!`${wrong.out}${completed.err}`.includes("\u001b"), completed.err);
  });

  const broken: [string, string[], RegExp][] = [
    [
      "a kubeconfig that is not there",
      ["--kubeconfig", join(folder, "none")],
      /there is no kubeconfig .*none\nName another by --kubeconfig/,
    ],
    [
      "a kubeconfig that is none",
      ["--kubeconfig", kubeconfig("broken", "{")],
      /the kubeconfig cannot be read: .*\nName another/,
    ],
    [
      "a context that is not there",
      ["--kubeconfig", NOWHERE, "--context", "c"],
      /there is no context "c" in the kubeconfig\nIt has a, b\./,
    ],
    [
      "an API server that is away",
      ["--kubeconfig", NOWHERE, "--timeout", "5s"],
      /ECONNREFUSED.*\nIs the API server of this context reachable/,
    ],
    ["a time that is none", ["--kubeconfig", NOWHERE, "--timeout", "soon"], /--timeout takes a time such as 30s/],
  ];
  for (const [what, args, message] of broken) {
    it(`fails on ${what}`, async () => {
      const { code, out, err } = await runWords(["status", ...args], { clock: systemClock });
      assert.match(err, message);
      assert.equal(code, what.includes("time") ? EXIT.usage : EXIT.failed);
      assert.equal(out, "");
      assert.ok(!err.includes("    at "), "no stack");
    });
  }

  it("ends with 130, and without a word, when it was interrupted", async () => {
    const interrupted = await runWords(["status", "--kubeconfig", NOWHERE], {
      clock: systemClock,
      signal: AbortSignal.abort(),
    });
    assert.deepEqual(interrupted, { code: EXIT.interrupted, out: "", err: "" });
  });
});

describe("faults", () => {
  const cases: [Error, RegExp][] = [
    [new KubeError(401, "Unauthorized", "no"), /Log in to the cluster again/],
    [new KubeError(403, "Forbidden", "no"), /Ask for the right that it names/],
    [new KubeError(404, "NotFound", "no"), /Is the operator installed\?/],
    [new KubeError(409, "Conflict", "no"), /run the command again/],
    [new KubeError(422, "Invalid", "no"), /Correct what the message names/],
    [new KubeError(429, "TooManyRequests", "no"), /busy/],
    [new KubeError(503, "Unavailable", "no"), /again in a moment/],
    [new KubeError(0, "Timeout", "no"), /--timeout/],
    [new KubeError(0, "Network", "no"), /kubectl cluster-info/],
    [new KubeError(0, "Config", "no"), /--kubeconfig/],
    [new KubeError(0, "TooLarge", "no"), /--since/],
    [new ImError(ErrorCode.BAD_REQUEST, "no"), /Correct/],
    [new ImError(ErrorCode.BUSY, "no"), /again/],
    [new TypeError("no"), /please report it/],
  ];
  for (const [error, remedy] of cases) {
    it(`have a remedy: ${error.name} ${"reason" in error ? error.reason : ""}`, () => {
      const fault = faultOf(error);
      assert.match(fault.remedy, remedy);
      assert.deepEqual([fault.message, fault.exitCode, fault.cause], ["no", EXIT.failed, error]);
    });
  }

  it("stay what they are", () => {
    const fault = new CliFault("a", "b");
    assert.equal(faultOf(fault), fault);
    assert.equal(faultOf("text").message, "text");
  });
});
