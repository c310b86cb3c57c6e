// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ProcessExit } from "../harness/processes.ts";
import { waitUntil } from "../harness/processes.ts";
import { type Supervised, Supervisor } from "./supervisor.ts";

/** A process that ends when the test says so. */
class FakeProcess implements Supervised {
  readonly name = "entry-0";
  starts = 1;
  #exit = Promise.withResolvers<ProcessExit>();

  end(code: number): void {
    this.#exit.resolve({ code, signal: null });
  }

  whenExited(): Promise<ProcessExit> {
    return this.#exit.promise;
  }

  /** A start is over when this is. */
  starting: Promise<void> = Promise.resolve();

  async start(): Promise<void> {
    this.starts++;
    await this.starting;
    this.#exit = Promise.withResolvers<ProcessExit>();
  }
}

function supervised(): { process: FakeProcess; supervisor: Supervisor; exits: string[]; watching: Promise<void> } {
  const exits: string[] = [];
  const supervisor = new Supervisor((name, how) => exits.push(`${name}: ${how}`), 1);
  const process = new FakeProcess();
  return { process, supervisor, exits, watching: supervisor.watch(process) };
}

describe("supervisor", () => {
  it("starts a process again that ended by itself", async () => {
    const { process, supervisor, exits, watching } = supervised();
    process.end(3);
    await waitUntil("restarted", () => process.starts === 2);
    process.end(0);
    await waitUntil("restarted again", () => process.starts === 3);
    assert.deepEqual(exits, ["entry-0: code 3", "entry-0: code 0"]);
    assert.equal(supervisor.restarts, 2);
    supervisor.stop();
    process.end(0);
    await watching;
    assert.equal(process.starts, 3);
  });

  it("leaves a held process to its holder, and watches it again afterwards", async () => {
    const { process, supervisor, exits } = supervised();
    const release = await supervisor.hold(process);
    process.end(9);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(process.starts, 1);
    await process.start();
    release();
    process.end(4);
    await waitUntil("restarted", () => process.starts === 3);
    assert.deepEqual(exits, ["entry-0: code 4"]);
    supervisor.stop();
    process.end(0);
  });

  it("gives nobody a process that it is just starting", async () => {
    const { process, supervisor } = supervised();
    const starting = Promise.withResolvers<void>();
    process.starting = starting.promise;
    process.end(3);
    await waitUntil("it is being started", () => process.starts === 2);
    let isHeld = false;
    const hold = supervisor.hold(process).then((release) => {
      isHeld = true;
      return release;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(isHeld, false);
    starting.resolve();
    const release = await hold;
    process.end(9);
    await process.start();
    release();
    assert.equal(process.starts, 3, "once by the supervisor, once by the holder");
    supervisor.stop();
    process.end(0);
  });
});
