// SPDX-License-Identifier: Apache-2.0
// What it costs to find silent connections: the four algorithms of the entry with 1,000 to 1,000,000 simulated connections that
// beat every 30 s and may be silent for 61 s. CPU time per tick and per heartbeat, memory per connection, and the floor: the same
// loop that only writes the number every algorithm needs. Ends with one JSON line; exit code 1 when the wheel is not cheaper
// per tick than the full scan from 20,000 connections on, or costs more than FLOOR_RATIO times the floor.
import { randomBytes } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { FakeClock } from "#lib/clock.ts";
import {
  createHeartbeats,
  HEARTBEAT_ALGORITHMS,
  type HeartbeatAlgorithm,
} from "../gateway/session/heartbeat/algorithms.ts";
import { type HeartbeatItem, type Heartbeats, NO_ECHO } from "../gateway/session/heartbeat/heartbeats.ts";
import { envNumber, progress } from "./bench-kit.ts";

const SIZES = [1_000, 20_000, 100_000, 1_000_000].filter((size) => size <= envNumber("IM_BENCH_MAX", 1_000_000));
/** Small fleets are measured for longer: CPU time is counted in microseconds. */
const BEATS = envNumber("IM_BENCH_BEATS", 1_000_000);
/** Signing takes a hundred times as long as everything else: fewer do. */
const SIGNED_BEATS = BEATS / 10;
const FLOOR_RATIO = envNumber("IM_BENCH_FLOOR_RATIO", 6);
const COMPARED_FROM = 20_000;
const INTERVAL_TICKS = 30;
const SILENCE_TICKS = 2 * INTERVAL_TICKS + 1;

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

class SimConnection implements HeartbeatItem {
  readonly conn: number;
  place = 0;
  deadline = 0;
  lease: Uint8Array = NO_ECHO;

  constructor(conn: number) {
    this.conn = conn;
  }

  dueTick(): number {
    return this.deadline;
  }

  onDue(): void {
    throw new Error("a connection that beats was called dead");
  }
}

interface Cost {
  /** Ms of CPU per tick, all connections together. */
  tickMs: number;
  /** Ns of CPU per heartbeat, without the tick's share. */
  beatNs: number;
  /** Heartbeats and ticks of one interval, ns of CPU per connection. */
  intervalNs: number;
  /** Heap and typed arrays, without the connection itself. */
  bytesPerConnection: number;
}

function usedBytes(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** In the order in which they beat: not that of their memory, as no crowd of clients keeps it. */
function connectionsOf(count: number): SimConnection[] {
  const made = Array.from({ length: count }, (_, at) => new SimConnection(at + 1));
  const seeds = new Uint32Array(randomBytes(4 * count).buffer);
  for (let at = count - 1; at > 0; at--) {
    const other = (seeds[at] ?? 0) % (at + 1);
    const swapped = made[at] as SimConnection;
    made[at] = made[other] as SimConnection;
    made[other] = swapped;
  }
  return made;
}

type Beat = (connection: SimConnection, nowTick: number) => void;

/** Ms of CPU of `rounds` intervals: heartbeats and ticks apart. */
function run(connections: readonly SimConnection[], rounds: number, beat: Beat, tick: () => number, firstTick: number) {
  const share = Math.ceil(connections.length / INTERVAL_TICKS);
  let beatMs = 0;
  let tickMs = 0;
  let nowTick = firstTick;
  for (let turn = 0; turn < rounds * INTERVAL_TICKS; turn++) {
    const startedMs = cpuMs();
    const from = (turn % INTERVAL_TICKS) * share;
    const end = Math.min(connections.length, from + share);
    for (let at = from; at < end; at++) beat(connections[at] as SimConnection, nowTick);
    const beatenMs = cpuMs();
    nowTick = tick();
    beatMs += beatenMs - startedMs;
    tickMs += cpuMs() - beatenMs;
  }
  return { beatMs, tickMs, nowTick };
}

interface Course {
  beat: Beat;
  tick: () => number;
  beats: number;
  bytes: number;
}

function measure(connections: readonly SimConnection[], { beat, tick, beats: atLeast, bytes }: Course): Cost {
  const rounds = Math.max(1, Math.ceil(atLeast / connections.length));
  // By then every connection is where its second deadline put it, and the code is compiled.
  const { nowTick } = run(connections, 1, beat, tick, 1);
  const { beatMs, tickMs } = run(connections, rounds, beat, tick, nowTick);
  const beats = rounds * connections.length;
  return {
    tickMs: tickMs / (rounds * INTERVAL_TICKS),
    beatNs: (beatMs * 1e6) / beats,
    intervalNs: ((beatMs + tickMs) * 1e6) / beats,
    bytesPerConnection: bytes / connections.length,
  };
}

function measureFloor(count: number): Cost {
  let nowTick = 1;
  const beat: Beat = (connection, at) => {
    connection.deadline = at + SILENCE_TICKS;
  };
  return measure(connectionsOf(count), { beat, tick: () => ++nowTick, beats: BEATS, bytes: 0 });
}

function beatOf(heartbeats: Heartbeats): Beat {
  return (connection, at) => {
    connection.deadline = at + SILENCE_TICKS;
    heartbeats.touch(connection, connection.lease);
    const lease = heartbeats.leaseOf(connection);
    if (lease) connection.lease = lease;
  };
}

function measureAlgorithm(algorithm: HeartbeatAlgorithm, count: number): Cost {
  const connections = connectionsOf(count);
  const before = usedBytes();
  const heartbeats = createHeartbeats(algorithm, new FakeClock());
  for (const connection of connections) {
    connection.deadline = heartbeats.nowTick + SILENCE_TICKS;
    heartbeats.schedule(connection);
  }
  const bytes = usedBytes() - before;
  const tick = (): number => {
    heartbeats.tick();
    return heartbeats.nowTick;
  };
  const beats = algorithm === "buckets" ? SIGNED_BEATS : BEATS;
  return measure(connections, { beat: beatOf(heartbeats), tick, beats, bytes });
}

const rounded = (cost: Cost): Cost => ({
  tickMs: Number(cost.tickMs.toPrecision(3)),
  beatNs: Math.round(cost.beatNs),
  intervalNs: Math.round(cost.intervalNs),
  bytesPerConnection: Math.round(cost.bytesPerConnection),
});

const faults: string[] = [];
const results = SIZES.map((connections) => {
  const floor = measureFloor(connections);
  const costs = Object.fromEntries(
    HEARTBEAT_ALGORITHMS.map((algorithm) => [algorithm, measureAlgorithm(algorithm, connections)]),
  ) as Record<HeartbeatAlgorithm, Cost>;
  const line = HEARTBEAT_ALGORITHMS.map((algorithm) => {
    const { tickMs, beatNs, bytesPerConnection } = rounded(costs[algorithm]);
    return `${algorithm} ${tickMs} ms/tick ${beatNs} ns/beat ${bytesPerConnection} B`;
  });
  const ratioToFloor = costs.wheel.intervalNs / floor.intervalNs;
  const ratioToScan = costs.wheel.tickMs / costs.scan.tickMs;
  progress(`${connections} connections: ${line.join(" · ")} · floor ${Math.round(floor.intervalNs)} ns per interval`);
  if (connections >= COMPARED_FROM) {
    if (ratioToScan >= 1)
      faults.push(`${connections}: a tick of the wheel costs ${ratioToScan.toFixed(2)} of a full scan`);
    if (ratioToFloor > FLOOR_RATIO)
      faults.push(`${connections}: the wheel costs ${ratioToFloor.toFixed(1)} times the floor`);
  }
  return {
    connections,
    ratioToScan: Number(ratioToScan.toPrecision(2)),
    ratioToFloor: Number(ratioToFloor.toPrecision(2)),
    floorNs: Math.round(floor.intervalNs),
    ...Object.fromEntries(HEARTBEAT_ALGORITHMS.map((algorithm) => [algorithm, rounded(costs[algorithm])])),
  };
});
for (const fault of faults) progress(`FAILED ${fault}`);
console.log(JSON.stringify({ bench: "heartbeat", floorRatioLimit: FLOOR_RATIO, ok: faults.length === 0, results }));
process.exitCode = faults.length === 0 ? 0 : 1;
