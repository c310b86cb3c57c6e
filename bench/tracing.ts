// SPDX-License-Identifier: Apache-2.0
// What traces cost an entry per message: a SEND through the entry's own code to logic's record and the answer back, nothing traced, one in
// a million traced, all traced. CPU time, the modes in turns, the least of all rounds. Ends with one JSON line; exit code 1 when a message
// that is not traced costs IM_BENCH_MAX_NANOS (200) more than one where nothing is configured.
import { systemClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { openTracing, type Tracing } from "#lib/tracing/open-tracing.ts";
import { Command } from "#proto/commands.ts";
import { LoginReply } from "#proto/gen/messages.ts";
import { RecordBatch } from "#proto/uplink/record.ts";
import { NO_LIMITS } from "../gateway/session/client-limits.ts";
import { EntryTraces } from "../gateway/session/entry-traces.ts";
import { type ForwardHub, forwardCommand } from "../gateway/session/forward-command.ts";
import { sessionOf } from "../gateway/session/session.ts";
import { EntryStats } from "../gateway/session/stats.ts";
import type { LogicPort } from "../gateway/session/uplink-port.ts";
import { EnvelopeReader, encodeFrame } from "../gateway/wire/envelope.ts";
import { envNumber, progress } from "./bench-kit.ts";

const MESSAGES = envNumber("IM_BENCH_MESSAGES", 400_000);
const ROUNDS = envNumber("IM_BENCH_ROUNDS", 15);
const MAX_NANOS = envNumber("IM_BENCH_MAX_NANOS", 200);
const CONN = 7;

const batch = new RecordBatch();
const take = (): boolean => {
  if (batch.byteLength > 64 * 1024) batch.take();
  return true;
};
const logic: LogicPort = {
  ...{ name: "logic", isUsable: true, load: 0 },
  send: (record) => {
    batch.add(record);
    return take();
  },
  sendControl: (record) => batch.add(record),
};

interface Mode {
  readonly name: string;
  readonly hub: ForwardHub;
  bestNanos: number;
}

function modeOf(name: string, tracing: Tracing | undefined): Mode {
  const clock = systemClock;
  const traces = tracing && new EntryTraces({ tracer: tracing.tracer, clock, afterWrites: setImmediate });
  const stats = new EntryStats();
  const hub = { clock, limits: NO_LIMITS, logics: { choose: () => logic }, stats, traces } as unknown as ForwardHub;
  return { name, hub, bestNanos: Number.POSITIVE_INFINITY };
}

const envelope = new EnvelopeReader();
// Behind its length, one byte.
const frame = encodeFrame(Command.SEND, 3, 0, Buffer.alloc(120));
if (!envelope.read(frame, 1, frame.length) || envelope.cmd !== Command.SEND) throw new Error("no SEND");
const session = sessionOf(logic, LoginReply.decode(LoginReply.encode({ userId: "u", slot: "mobile" })), 30_000);

/** CPU nanoseconds per message. */
function measure({ hub }: Mode, messages: number): number {
  const before = process.cpuUsage();
  for (let at = 0; at < messages; at++) {
    forwardCommand(hub, CONN, session, envelope);
    session.inFlight--;
    hub.traces?.answered(CONN, envelope.rid, Command.SEND_ACK);
  }
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / messages;
}

// Nobody listens there: what is traced is dropped, as in the worst case.
const settings = { endpoint: "http://127.0.0.1:9", headers: {}, perSecond: 1_000_000 };
const ports = {
  process: { component: "entry", cluster: "bench", podName: "bench", version: "0" },
  ...{ clock: systemClock, random: Math.random, log: silentLogger },
};
const modes = [
  modeOf("off", undefined),
  modeOf("untraced", await openTracing({ ...settings, ratio: 1e-6 }, ports)),
  modeOf("traced", await openTracing({ ...settings, ratio: 1 }, ports)),
];
for (let round = 0; round < ROUNDS; round++) {
  for (const mode of modes) {
    const messages = mode.name === "traced" ? MESSAGES / 20 : MESSAGES;
    const nanos = measure(mode, messages);
    if (round > 0) mode.bestNanos = Math.min(mode.bestNanos, nanos);
    await new Promise((resolve) => setImmediate(resolve));
  }
  progress(
    `round ${round + 1}: ${modes.map(({ name, bestNanos }) => `${name} ${Math.round(bestNanos)} ns`).join(", ")}`,
  );
}
const figures = Object.fromEntries(modes.map(({ name, bestNanos }) => [name, Math.round(bestNanos)]));
console.log(JSON.stringify({ nanosPerMessage: figures, messages: MESSAGES, rounds: ROUNDS }));
process.exit((figures.untraced ?? 0) - (figures.off ?? 0) > MAX_NANOS ? 1 : 0);
