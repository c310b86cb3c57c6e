// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, describe, it } from "node:test";
import { isInPrivateNetwork, PrivateNetwork } from "./private-network.ts";
import { childPids, isRunning, waitUntil } from "./processes.ts";

const PROBE = join(import.meta.dirname, "private-network-probe.ts");
const RUNNER = `
  import { runInPrivateNetwork } from ${JSON.stringify(join(import.meta.dirname, "private-network.ts"))};
  process.exitCode = await runInPrivateNetwork(${JSON.stringify(PROBE)}, process.argv.slice(1));
`;

const started: ChildProcess[] = [];
after(() => {
  for (const child of started) child.kill("SIGKILL");
});

/** Starts the probe; its lines of JSON in order. */
function startProbe(...args: string[]): { child: ChildProcess; lines: AsyncIterator<string> } {
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", RUNNER, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  started.push(child);
  return { child, lines: createInterface({ input: child.stdout ?? process.stdin })[Symbol.asyncIterator]() };
}

async function nextLine(lines: AsyncIterator<string>): Promise<Record<string, unknown>> {
  const { value, done } = await lines.next();
  assert.notEqual(done, true, "the probe ended early");
  return JSON.parse(value as string) as Record<string, unknown>;
}

/** Links and addresses of the machine's own network. */
function ownLinks(): string {
  return execFileSync("ip", ["-o", "link"], { encoding: "utf8", timeout: 10_000 });
}

/** Pids of all processes that descend from `pid`. */
function descendants(pid: number): number[] {
  return childPids(pid).flatMap((child) => [child, ...descendants(child)]);
}

function networks(): Set<string> {
  const found = new Set<string>();
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      found.add(readlinkSync(`/proc/${pid}/ns/net`));
    } catch {
      // The process ended meanwhile.
    }
  }
  return found;
}

describe("private network", () => {
  it("cuts one direction, one address or a share of the packets, heals, and resets connections", async () => {
    const before = ownLinks();
    const { child, lines } = startProbe();
    const seen = await nextLine(lines);
    assert.deepEqual(seen, {
      before: [true, true],
      cutA: [false, true],
      healedA: true,
      cutAlias: [true, false],
      cutAnswers: false,
      lossOfAll: false,
      reset: "ECONNRESET",
      after: [true, true],
    });
    assert.deepEqual(await nextLine(lines), { closed: true });
    await waitUntil("the runner ended", () => child.exitCode !== null);
    assert.equal(child.exitCode, 0);
    assert.equal(ownLinks(), before, "the machine's own network was touched");
  });

  it("leaves no process and no network behind when its runner is killed", async () => {
    const before = ownLinks();
    const { child, lines } = startProbe("stay");
    await nextLine(lines);
    const pids = descendants(child.pid ?? 0);
    const inside = new Set(pids.map((pid) => readlinkSync(`/proc/${pid}/ns/net`)));
    // The probe, two hosts and two servers in three networks.
    assert.equal(pids.length, 5);
    assert.equal(inside.size, 3);
    child.kill("SIGKILL");
    await waitUntil("all processes ended", () => !pids.some(isRunning));
    await waitUntil("all networks are gone", () => ![...networks()].some((network) => inside.has(network)));
    assert.equal(ownLinks(), before);
  });

  it("refuses to build on the machine's own network", async () => {
    assert.equal(isInPrivateNetwork(), false);
    await assert.rejects(new PrivateNetwork().open(), /not in a private network/);
  });
});
