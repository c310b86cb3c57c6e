// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { commandLine, identify, isRunning, parseStartTicks, signalProcess } from "./process-identity.ts";

describe("parseStartTicks", () => {
  const stat = (name: string, state: string): string =>
    `42 (${name}) ${state} ${Array.from({ length: 18 }, (_, i) => i).join(" ")} 98765 1 2`;

  it("reads field 22 whatever the program is called", () => {
    assert.equal(parseStartTicks(stat("node", "S")), 98765);
    assert.equal(parseStartTicks(stat("a) (b c", "R")), 98765);
  });

  it("takes a zombie for gone, and nonsense for nothing", () => {
    assert.equal(parseStartTicks(stat("node", "Z")), undefined);
    assert.equal(parseStartTicks(""), undefined);
  });
});

describe("process identity", () => {
  it("names this process and no other with the same pid", () => {
    const self = identify(process.pid);
    assert.ok(self);
    assert.ok(isRunning(self));
    assert.ok(!isRunning({ ...self, startTicks: self.startTicks + 1 }), "a reused pid");
    assert.ok(!isRunning({ ...self, bootId: "another boot" }), "a pid from before a reboot");
  });

  it("never signals a process that merely has the recorded pid", async () => {
    const child = spawn("sleep", ["60"]);
    await once(child, "spawn");
    const identity = identify(child.pid ?? 0);
    assert.ok(identity);
    assert.equal(signalProcess({ ...identity, startTicks: 1 }, "SIGKILL"), false);
    assert.ok(isRunning(identity));
    const exited = once(child, "exit");
    assert.equal(signalProcess(identity, "SIGKILL"), true);
    await exited;
    assert.equal(signalProcess(identity, "SIGKILL"), false);
    assert.equal(identify(identity.pid), undefined);
  });

  it("reads the command line, empty for none", () => {
    assert.equal(
      commandLine(process.pid)[0],
      process.argv0.includes("/") ? process.argv0 : commandLine(process.pid)[0],
    );
    assert.deepEqual(commandLine(2 ** 22 + 1), []);
  });
});
