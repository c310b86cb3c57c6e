// SPDX-License-Identifier: Apache-2.0
import type { Wrong } from "./wrong-specs.ts";

const entry = (fields: object) => ({ entry: fields });
const scaling = (fields: object = {}, more: object = {}) =>
  entry({ autoscaling: { min: 2, max: 4, ...fields }, ...more });
const policy = (fields: object) => scaling({ policies: [fields] });
const schedule = (fields: object) =>
  policy({ schedule: { cron: "0 8 * * *", duration: "1h", ...fields }, buffer: { freeConnections: "15%" } });
const free = (freeConnections: unknown) => policy({ buffer: { freeConnections } });

const AUTOSCALING = "spec.entry.autoscaling";
const POLICY = `${AUTOSCALING}.policies[0]`;

/** Specs about scaling, hibernation and fencing that the API server refuses. */
export const WRONG_SCALING: readonly Wrong[] = [
  {
    what: "autoscaling without bounds",
    spec: entry({ autoscaling: {} }),
    field: `${AUTOSCALING}.max`,
    remedy: /Required/,
  },
  { what: "min above max", spec: scaling({ min: 5 }, { replicas: 5 }), field: AUTOSCALING, remedy: /swap them/ },
  { what: "min of 0", spec: scaling({ min: 0 }), field: `${AUTOSCALING}.min`, remedy: /1 and 200.*spec\.hibernate/ },
  { what: "max of 201", spec: scaling({ max: 201 }), field: `${AUTOSCALING}.max`, remedy: /between 1 and 200/ },
  { what: "a negative max", spec: scaling({ max: -1 }), field: `${AUTOSCALING}.max`, remedy: /between 1 and 200/ },
  { what: "half a min", spec: scaling({ min: 1.5 }), field: `${AUTOSCALING}.min`, remedy: /integer/ },
  {
    what: "replicas below min",
    spec: scaling({}, { replicas: 1 }),
    field: "spec.entry",
    remedy: /replicas must be within .*min and max.*change it, or the bounds/,
  },
  {
    what: "replicas above max",
    spec: scaling({}, { replicas: 5 }),
    field: "spec.entry",
    remedy: /replicas must be within .*min and max/,
  },
  {
    what: "the default of replicas below min",
    spec: scaling({ min: 4 }),
    field: "spec.entry",
    remedy: /begins with it \(default 3\)/,
  },
  {
    what: "a buffer beyond the capacity of all entries",
    spec: scaling({ policies: [{ buffer: { freeConnections: 4_000 } }] }, { maxConnectionsPerPod: 1_000 }),
    field: "spec.entry",
    remedy: /more free connections than max entries hold.*raise max/,
  },
  { what: "no policy", spec: scaling({ policies: [] }), field: `${AUTOSCALING}.policies`, remedy: /at least 1 item/ },
  {
    what: "17 policies",
    spec: scaling({ policies: Array.from({ length: 17 }, () => ({ buffer: { freeConnections: 1 } })) }),
    field: `${AUTOSCALING}.policies`,
    remedy: /at most 16 items/,
  },
  { what: "a policy without a buffer", spec: policy({}), field: `${POLICY}.buffer`, remedy: /Required/ },
  ...["91%", "100%", "-1%", "15", "a few", "1.5%", "15 %"].map((share) => ({
    what: `the buffer ${share}`,
    spec: free(share),
    field: `${POLICY}.buffer.freeConnections`,
    remedy: /share from 0% to 90%, for example 15%, or a number/,
  })),
  {
    what: "a negative buffer",
    spec: free(-1),
    field: `${POLICY}.buffer.freeConnections`,
    remedy: /a number of connections/,
  },
  {
    what: "a schedule without a duration",
    spec: policy({ schedule: { cron: "0 8 * * *" }, buffer: { freeConnections: 1 } }),
    field: `${POLICY}.schedule.duration`,
    remedy: /Required/,
  },
  ...["@daily", "0 8 * *", "0 8 * * * *", "", "0 8 * * *; rm", "0 MON * * *", "\n0 8 * * *"].map((cron) => ({
    what: `the schedule ${JSON.stringify(cron)}`,
    spec: schedule({ cron }),
    field: `${POLICY}.schedule.cron`,
    remedy: /five fields/,
  })),
  {
    what: "a schedule of a thousand characters",
    spec: schedule({ cron: `${"0,".repeat(500)}0 8 * * *` }),
    field: `${POLICY}.schedule.cron`,
    remedy: /at most 100|may not be more than 100/,
  },
  {
    what: "a schedule that lasts in words",
    spec: schedule({ duration: "long" }),
    field: `${POLICY}.schedule.duration`,
    remedy: /such as 12h or 90m/,
  },
  {
    what: "a schedule of no time",
    spec: schedule({ duration: "0s" }),
    field: `${POLICY}.schedule.duration`,
    remedy: /between 1m and 168h/,
  },
  {
    what: "a schedule longer than a week",
    spec: schedule({ duration: "169h" }),
    field: `${POLICY}.schedule.duration`,
    remedy: /between 1m and 168h/,
  },
  {
    what: "a time zone that is a path",
    spec: schedule({ timezone: "../../etc/localtime" }),
    field: `${POLICY}.schedule.timezone`,
    remedy: /IANA data base, for example Europe\/Berlin/,
  },
  {
    what: "stabilisation without a unit",
    spec: scaling({ scaleDown: { stabilization: "30" } }),
    field: `${AUTOSCALING}.scaleDown.stabilization`,
    remedy: /such as 30m/,
  },
  {
    what: "stabilisation of two days",
    spec: scaling({ scaleDown: { stabilization: "48h" } }),
    field: `${AUTOSCALING}.scaleDown.stabilization`,
    remedy: /at most 24h/,
  },
  {
    what: "no pod an hour",
    spec: scaling({ scaleDown: { maxPodsPerHour: 0 } }),
    field: `${AUTOSCALING}.scaleDown.maxPodsPerHour`,
    remedy: /between 1 and 200/,
  },
  { what: "hibernation in words", spec: { hibernate: "soon" }, field: "spec.hibernate", remedy: /boolean/ },
  {
    what: "all entries and one fenced",
    spec: { fencedEntries: ["*", "demo-entry-abcde"] },
    field: "spec.fencedEntries",
    remedy: /\["\*"\] alone/,
  },
  {
    what: "a pattern of fenced entries",
    spec: { fencedEntries: ["demo-entry-*"] },
    field: "spec.fencedEntries[0]",
    remedy: /should match/,
  },
  {
    what: "one entry fenced twice",
    spec: { fencedEntries: ["demo-entry-a", "demo-entry-a"] },
    field: "spec.fencedEntries[1]",
    remedy: /Duplicate/,
  },
  {
    what: "201 fenced entries",
    spec: { fencedEntries: Array.from({ length: 201 }, (_, index) => `demo-entry-${index}`) },
    field: "spec.fencedEntries",
    remedy: /at most 200 items/,
  },
  {
    what: "no entries, instead of hibernation",
    spec: entry({ replicas: 0 }),
    field: "spec.entry.replicas",
    remedy: /set spec\.hibernate/,
  },
];
