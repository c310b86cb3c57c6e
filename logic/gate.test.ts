// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { Gate } from "./gate.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("gate", () => {
  it("runs so many at once, lets so many wait and sheds the rest", async () => {
    const gate = new Gate({ clock: new FakeClock(), maxRunning: 2, maxWaiting: 2, maxWaitMs: 100 });
    const ends: (() => void)[] = [];
    const log: string[] = [];
    for (let at = 0; at < 5; at++)
      gate.enter(
        () => {
          log.push(`run ${at}`);
          return new Promise((resolve) => ends.push(resolve));
        },
        () => log.push(`shed ${at}`),
      );
    assert.deepEqual(log, ["run 0", "run 1", "shed 4"]);
    for (let end = ends.shift(); end; end = ends.shift()) {
      end();
      await turn();
    }
    assert.deepEqual(log, ["run 0", "run 1", "shed 4", "run 2", "run 3"]);
    assert.deepEqual([gate.running, gate.waiting], [0, 0]);
  });

  it("sheds what waited too long instead of starting it", async () => {
    const clock = new FakeClock();
    const gate = new Gate({ clock, maxRunning: 1, maxWaiting: 10, maxWaitMs: 100 });
    const log: string[] = [];
    let end = (): void => undefined;
    gate.enter(() => new Promise((resolve) => (end = resolve)), assert.fail);
    gate.enter(
      async () => void log.push("run old"),
      () => log.push("shed old"),
    );
    clock.advance(60);
    gate.enter(
      async () => void log.push("run young"),
      () => log.push("shed young"),
    );
    clock.advance(60);
    end();
    await turn();
    assert.deepEqual(log, ["shed old", "run young"]);
  });

  it("lets tenants take turns", async () => {
    const gate = new Gate({ clock: new FakeClock(), maxRunning: 1, maxWaiting: 10, maxWaitMs: 100 });
    const log: string[] = [];
    const ends: (() => void)[] = [];
    const enter = (tenant: string, name: string): void =>
      gate.enter(
        () => {
          log.push(name);
          return new Promise((resolve) => ends.push(resolve));
        },
        () => log.push(`shed ${name}`),
        tenant,
      );
    for (const name of ["a1", "a2", "a3", "a4"]) enter("a", name);
    enter("b", "b1");
    for (let end = ends.shift(); end; end = ends.shift()) {
      end();
      await turn();
    }
    assert.deepEqual(log, ["a1", "a2", "b1", "a3", "a4"]);
  });
});
