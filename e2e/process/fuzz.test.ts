// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { type Findings, MAX_GROWTH_MIB } from "../fuzz/lanes.ts";
import type { Mutant } from "../mutants/mutant.ts";
import { ROOT, Sandbox } from "../mutants/sandbox.ts";

const TIMEOUT_MS = 150_000;
const IN_MEMORY = ["--expose-gc", "e2e/fuzz/memory-main.ts"];

function findingsOf(output: string): Findings {
  return JSON.parse(output.trimEnd().split("\n").at(-1) ?? "") as Findings;
}

/** Bugs of the kinds that a fuzzer is for. */
const PLANTED: readonly (Mutant & { finds: RegExp })[] = [
  {
    name: "a codec that throws on one shape of unknown field",
    finds: /uncaught: RangeError: planted/,
    edits: [
      {
        file: "gateway/wire/envelope.ts",
        find: "      case 5:\n",
        replace: '      case 5:\n        if (buffer[this.#at] === 0x7a) throw new RangeError("planted");\n',
      },
    ],
  },
  {
    name: "a client that went is never forgotten",
    finds: /something of the client is left/,
    edits: [{ file: "gateway/listen/sniff.ts", find: "    this.#target.onReleased(this);\n", replace: "" }],
  },
  {
    name: "one command keeps the event loop busy",
    finds: /the event loop stood still/,
    edits: [
      {
        file: "gateway/session/forwarded.ts",
        find: "function isForwarded(cmd: number): boolean {\n",
        replace:
          "function isForwarded(cmd: number): boolean {\n" +
          "  const { user } = process.threadCpuUsage();\n" +
          "  while (cmd === 127 && process.threadCpuUsage().user - user < 80_000);\n",
      },
    ],
  },
  {
    name: "a session over HTTP outlives its end",
    finds: /something of the client is left/,
    edits: [{ file: "gateway/http/sessions.ts", find: "        connection.onGone();\n", replace: "" }],
  },
  {
    name: "two answers to one client",
    finds: /more than one answer/,
    edits: [
      { file: "gateway/listen/http.ts", find: "last?.writableEnded || socket.bytesWritten > 0", replace: "false" },
    ],
  },
];

/** What a cache without an end does. */
const LEAK: Mutant = {
  name: "every socket is remembered for ever",
  edits: [
    {
      file: "gateway/listen/sniff.ts",
      find: "export class PendingSocket",
      replace: "const kept: unknown[] = [];\nexport class PendingSocket",
    },
    {
      file: "gateway/listen/sniff.ts",
      find: "    this.#socket[PENDING] = this;\n",
      replace: "    this.#socket[PENDING] = this;\n    kept.push(socket, this);\n",
    },
  ],
};

describe("fuzzer", () => {
  const sandbox = new Sandbox();
  after(() => sandbox.remove());

  for (const planted of PLANTED) {
    it(`finds a planted bug, and again by its name: ${planted.name}`, async () => {
      sandbox.plant(planted);
      try {
        const found = findingsOf((await sandbox.run([...IN_MEMORY, "5", "3000"], TIMEOUT_MS)).output);
        const failure = found.failures.find((text) => planted.finds.test(text));
        assert.ok(failure, JSON.stringify(found));
        const only = /ONLY=(\S+):/.exec(failure)?.[1] ?? "";
        const replay = await sandbox.run(["e2e/fuzz/main.ts", "--seed", "5", "--only", only], TIMEOUT_MS);
        assert.notEqual(replay.code, 0);
        assert.match(replay.output, planted.finds);
      } finally {
        sandbox.restore();
      }
    });
  }

  it("finds a planted leak: the clients of one lane are never let go", async () => {
    sandbox.plant(LEAK);
    try {
      const { liveGrowthMiB, crashes } = findingsOf(
        (await sandbox.run([...IN_MEMORY, "5", "20000"], TIMEOUT_MS)).output,
      );
      assert.ok(liveGrowthMiB >= MAX_GROWTH_MIB, `${liveGrowthMiB} MiB`);
      assert.equal(crashes, 0, "only memory tells");
    } finally {
      sandbox.restore();
    }
  });

  it("a short run over memory and sockets finds nothing in the product", () => {
    const args = [join(ROOT, "e2e/fuzz/main.ts"), "--seed", "11", "--inputs", "20000"];
    const run = spawnSync(process.execPath, args, { encoding: "utf8", timeout: TIMEOUT_MS });
    assert.equal(run.status, 0, `${run.stdout}\n${run.stderr}`);
    const { crashes, uncaught, inputs, deep } = findingsOf(run.stdout);
    assert.deepEqual({ crashes, uncaught }, { crashes: 0, uncaught: 0 });
    assert.ok(inputs >= 20_000);
    assert.ok((deep.carrier ?? 0) > 0.2, "requests of the HTTP carrier with a lease that counts");
  });
});
