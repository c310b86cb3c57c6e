// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Fleet } from "../harness/fleet.ts";
import type { DropRule, NetworkHost, PrivateNetwork } from "../harness/private-network.ts";
import { FleetSite } from "./fleet-site.ts";
import { FAULT_KINDS, type Fault } from "./schedule.ts";
import type { StoreGroup, Stores } from "./stores.ts";
import { Supervisor } from "./supervisor.ts";

/** Notes what is done to it. */
function world(postgresHost = "postgres") {
  const done: string[] = [];
  const rules: string[] = [];
  const at = (name: string): NetworkHost => ({ name, host: name, alias: `${name}-alias`, enter: [] });
  const show = ({ host, from = "", to = "", share = 1 }: DropRule): string => `${host.name} ${from}>${to} ${share}`;
  const network = {
    hub: at("hub"),
    find: at,
    drop: async (dropped: readonly DropRule[]) => {
      rules.push(...dropped.map(show));
      return async () => void done.push("healed");
    },
    reset: async (host: NetworkHost, peer: string) => void done.push(`reset ${host.name} ${peer}`),
  } as unknown as PrivateNetwork;
  const process = (name: string, more: object = {}) => ({
    name,
    ...more,
    kill9: async () => void done.push(`kill ${name}`),
    start: async () => void done.push(`start ${name}`),
    waitBack: async () => void done.push(`ready ${name}`),
    sigstop: () => void done.push(`stop ${name}`),
    sigcont: () => void done.push(`cont ${name}`),
  });
  const group = (name: string, hostName = name): StoreGroup => ({
    ...process(name),
    hostName,
    kill: async () => void done.push(`kill ${name}`),
    stop: async () => undefined,
    failover: async () => {
      done.push(`failover ${name}`);
      return async () => void done.push(`rejoin ${name}`);
    },
  });
  const entries = [process("entry-0", { podUid: "uid-0" }), process("entry-1", { podUid: "uid-1" })];
  const fleet = { entries, processes: [...entries, process("logic-0")] } as unknown as Fleet;
  const redis = { ...group("redis"), host: { url: "", flush: async () => void done.push("flush") } };
  const stores = { redis, postgres: group("postgres", postgresHost) } as unknown as Stores;
  const supervisor = new Supervisor(() => undefined);
  const onEntryKilled = (podUid: string): void => void done.push(`dead ${podUid}`);
  return { site: new FleetSite({ fleet, stores, network, supervisor, onEntryKilled }), done, rules };
}

const fault = (part: Partial<Fault>): Fault => ({
  kind: "kill",
  target: "logic-0",
  atMs: 0,
  durationMs: 0,
  lane: 0,
  ...part,
});

async function strikeAndHeal(site: FleetSite, part: Partial<Fault>): Promise<void> {
  const heal = await site.strike(fault(part));
  await heal();
}

describe("fleet site", () => {
  it("kills, starts again and waits until it serves", async () => {
    const { site, done } = world();
    await strikeAndHeal(site, { target: "entry-1" });
    await strikeAndHeal(site, { target: "postgres" });
    const entry = ["dead uid-1", "kill entry-1", "start entry-1", "ready entry-1"];
    assert.deepEqual(done, [...entry, "kill postgres", "start postgres"]);
  });

  it("pauses, flushes, resets and fails over", async () => {
    const { site, done } = world();
    await strikeAndHeal(site, { kind: "pause" });
    await strikeAndHeal(site, { kind: "pause", target: "redis" });
    await strikeAndHeal(site, { kind: "flush", target: "redis" });
    await strikeAndHeal(site, { kind: "reset", target: "entry-0", peer: "clients" });
    await strikeAndHeal(site, { kind: "failover", target: "postgres" });
    assert.deepEqual(done, [
      ...["stop logic-0", "cont logic-0", "stop redis", "cont redis", "flush"],
      ...["reset entry-0 hub", "failover postgres", "rejoin postgres"],
    ]);
  });

  it("cuts links at the receiving end", async () => {
    const { site, rules, done } = world();
    await strikeAndHeal(site, { kind: "one-way", target: "logic-0", peer: "redis" });
    assert.deepEqual(rules.splice(0), ["redis logic-0> 1"]);
    await strikeAndHeal(site, { kind: "cut", target: "logic-0", peer: "redis" });
    assert.deepEqual(rules.splice(0), ["redis logic-0> 1", "logic-0 redis> 1"]);
    await strikeAndHeal(site, { kind: "lose", target: "clients", share: 0.2 });
    assert.deepEqual(rules.splice(0), ["hub > 0.2"]);
    assert.deepEqual(done, ["healed", "healed", "healed"]);
  });

  it("makes half-open only what goes through the second addresses", async () => {
    const { site, rules } = world();
    await strikeAndHeal(site, { kind: "half-open", target: "clients" });
    assert.deepEqual(rules, [
      ...["entry-0 >entry-0-alias 1", "hub entry-0-alias> 1"],
      ...["entry-1 >entry-1-alias 1", "hub entry-1-alias> 1"],
    ]);
  });

  it("cuts a store where it is", async () => {
    const { site, rules } = world("hub");
    await strikeAndHeal(site, { kind: "one-way", target: "logic-0", peer: "postgres" });
    assert.deepEqual(rules, ["hub logic-0> 1"]);
  });

  it("excuses no late push by a client's bad link, and by loss of Redis more than by anything else", () => {
    const { site } = world();
    const classes = FAULT_KINDS.map((kind) => `${kind} ${site.classOf(fault({ kind, target: "redis" }))}`);
    assert.deepEqual(classes, [
      ...["kill redis-loss", "pause component", "cut component", "one-way component", "lose component"],
      ...["reset component", "flush redis-loss", "half-open none", "failover redis-loss"],
    ]);
    assert.equal(site.classOf(fault({ kind: "kill", target: "postgres" })), "component");
  });

  it("knows what it does not have", async () => {
    await assert.rejects(world().site.strike(fault({ target: "logic-9" })), /no process logic-9/);
  });
});
