// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Measured } from "./load-generator.ts";
import { type Phases, reportOf, type SendFigures } from "./send-report.ts";
import type { Settings } from "./send-settings.ts";

const settings: Settings = {
  users: 1000,
  seconds: 6,
  rounds: 2,
  quiet: 1,
  window: 1,
  bytes: 200,
  rates: [5000, 10_000],
  target: 25_000,
  tls: false,
  peer: true,
  profile: "",
};

function measured(messagesPerSecond: number, change: Partial<Measured> = {}): Measured {
  const latency = { ackP50Ms: 1, ackP99Ms: 5, deliveredP50Ms: 1, deliveredP99Ms: 5 };
  const counts = { sent: 100, acked: 100, delivered: 100, duplicates: 0, refused: 0, undelivered: 0 };
  const load = { seconds: 6, generatorCpuRatio: 0.2, strangerCores: 0 };
  return {
    ...latency,
    ...counts,
    ...load,
    messagesPerSecond,
    cpuMicrosPerMessage: { total: 100 },
    workPerMessage: {},
    ...change,
  };
}

function figures(change: Partial<SendFigures> = {}): SendFigures {
  const plain: Phases = {
    "warm-up": measured(90_000),
    "saturated 1": measured(26_000),
    "saturated 2": measured(30_000),
    "5000/s": measured(5000),
    "10000/s": measured(10_000),
  };
  return {
    floor: { messagesPerSecond: 60_000, rowsPerSecond: 240_000, batchSize: 250, cpuMicrosPerMessage: 20 },
    plain,
    tls: undefined,
    peer: { "saturated 1": measured(8000), "saturated 2": measured(7000) },
    stored: { messages: 500, devicesBehind: 0 },
    ...change,
  };
}

describe("report of the send bench", () => {
  it("compares the best saturated rounds, and takes cost and latency from the open loops", () => {
    const report = reportOf(settings, figures());
    assert.deepEqual(
      [report.messagesPerSecond, report.ratioToSocketIoInsert, report.ratioToFloor],
      [30_000, 3.75, 0.5],
    );
    assert.deepEqual([report.cpuMicrosPerMessage, report.ackP50Ms, report.ackP99Ms], [100, 1, 5]);
    assert.deepEqual([report.ok, report.missed], [true, []]);
  });

  it("names every target that was missed", () => {
    const slow: Phases = {
      "saturated 1": measured(9000),
      "5000/s": measured(5000, { cpuMicrosPerMessage: { total: 151 } }),
      "10000/s": measured(9000, { ackP50Ms: 3, ackP99Ms: 11 }),
    };
    const report = reportOf(settings, figures({ plain: slow, stored: { messages: 300, devicesBehind: 0 } }));
    assert.equal(report.ok, false);
    assert.deepEqual(
      report.missed.map((text) => text.split(" ")[0]),
      ["messagesPerSecond", "ratioToSocketIoInsert", "ratioToFloor", "cpuMicrosPerMessage", "ackP50Ms", "ackP99Ms"],
    );
  });

  it("misses nothing that was not measured", () => {
    const report = reportOf(
      settings,
      figures({
        plain: { "saturated 1": measured(26_000) },
        peer: undefined,
        stored: { messages: 100, devicesBehind: 0 },
      }),
    );
    assert.deepEqual([report.ok, report.ratioToSocketIoInsert], [true, undefined]);
  });

  it("believes no figure when a message is missing, was pushed twice, or is not receipted", () => {
    for (const change of [
      { stored: { messages: 499, devicesBehind: 0 } },
      { stored: { messages: 500, devicesBehind: 1 } },
      { plain: { ...figures().plain, "5000/s": measured(5000, { undelivered: 1 }) } },
      { plain: { ...figures().plain, "5000/s": measured(5000, { duplicates: 1 }) } },
    ])
      assert.equal(reportOf(settings, figures(change)).ok, false);
  });
});
