// SPDX-License-Identifier: Apache-2.0
// Which builds run beside which, and what happens to them while people chat.

/** This tree, or the older build. */
export type Version = "N-1" | "N";

/** Something that is done to the fleet while people chat. */
export type Step =
  /** kill -9, and started again: its clients lose their connections. */
  | { do: "kill"; process: string }
  /** SIGTERM, its end, and started as this version. */
  | { do: "roll"; process: string; to: Version }
  /** The migration of this version, under the running processes. */
  | { do: "migrate"; to: Version }
  /** This version's operator asks every entry and logic how it is, and an entry to have two clients move. */
  | { do: "operate"; as: Version };

/** One row of the table in docs/versions.md. */
export interface Row {
  name: string;
  /** Whose migration made the database. */
  schema: Version;
  /** The version of each process, by its place. */
  entries: readonly [Version, Version];
  logics: readonly [Version, Version];
  extlogics: readonly Version[];
  /** Of the two people of each pair. */
  sdks: readonly [Version, Version];
  steps: readonly Step[];
}

const OLD: readonly [Version, Version] = ["N-1", "N-1"];
const NEW: readonly [Version, Version] = ["N", "N"];
const MIXED: readonly [Version, Version] = ["N-1", "N"];

/** A connection of every carrier is lost and made again. */
const RECONNECT: Step = { do: "kill", process: "entry-0" };

/** Each process in turn becomes that version, as an upgrade or a rollback does it: logic first, entries follow. */
function rollTo(to: Version): Step[] {
  const processes = ["logic-0", "logic-1", "extlogic-0", "entry-0", "entry-1"];
  return processes.map((process) => ({ do: "roll", process, to }));
}

/** All of one version through everything that happens in other rows: tells a fault of a build from one between two. */
function alone(version: Version): Row {
  const both: readonly [Version, Version] = [version, version];
  return {
    ...{ name: `${version} alone`, schema: version, entries: both, logics: both, extlogics: [version], sdks: both },
    steps: [RECONNECT, { do: "operate", as: version }, ...rollTo(version)],
  };
}

/** Every row, the controls first. */
export function planMatrix(): Row[] {
  const mixed = (name: string, changes: Partial<Row>): Row => ({
    ...{ name, schema: "N", entries: NEW, logics: NEW, extlogics: [], sdks: NEW, steps: [RECONNECT] },
    ...changes,
  });
  return [
    alone("N-1"),
    alone("N"),
    mixed("entry N-1, logic N", { entries: OLD }),
    mixed("entry N, logic N-1", { logics: OLD }),
    mixed("schema N, images and SDK N-1", { entries: OLD, logics: OLD, extlogics: ["N-1"], sdks: OLD }),
    mixed("logic N-1 beside logic N", {
      logics: MIXED,
      // Each stops once: its sessions move to the other version.
      steps: [RECONNECT, { do: "roll", process: "logic-0", to: "N-1" }, { do: "roll", process: "logic-1", to: "N" }],
    }),
    mixed("entry N-1 beside entry N", {
      entries: MIXED,
      steps: [RECONNECT, { do: "roll", process: "entry-1", to: "N" }, { do: "roll", process: "entry-0", to: "N-1" }],
    }),
    mixed("extlogic N-1, logic N", { extlogics: ["N-1"] }),
    mixed("extlogic N, logic N-1", { logics: OLD, extlogics: ["N"] }),
    mixed("extlogic N-1 beside extlogic N", {
      extlogics: MIXED,
      steps: [RECONNECT, { do: "kill", process: "extlogic-0" }, { do: "kill", process: "extlogic-1" }],
    }),
    mixed("SDK N-1, fleet N", { sdks: OLD }),
    mixed("SDK N, fleet N-1", { entries: OLD, logics: OLD, extlogics: ["N-1"] }),
    mixed("SDK N-1 with SDK N, mixed fleet", { sdks: MIXED, entries: MIXED, logics: MIXED }),
    mixed("operator N, fleet N-1", {
      entries: OLD,
      logics: OLD,
      steps: [{ do: "operate", as: "N" }, RECONNECT],
    }),
    mixed("operator N-1, fleet N", { steps: [{ do: "operate", as: "N-1" }, RECONNECT] }),
    mixed("upgrade to N, back to N-1", {
      ...{ schema: "N-1", entries: OLD, logics: OLD, extlogics: ["N-1"], sdks: MIXED },
      steps: [RECONNECT, { do: "migrate", to: "N" }, ...rollTo("N"), RECONNECT, ...rollTo("N-1")],
    }),
  ];
}

/** The rows that were asked for by a part of their names. @throws RangeError when there is none */
export function selectRows(rows: readonly Row[], only: string | undefined): Row[] {
  if (only === undefined || only === "") return [...rows];
  const parts = only.split(",").map((part) => part.trim().toLowerCase());
  const chosen = rows.filter(({ name }) => parts.some((part) => name.toLowerCase().includes(part)));
  if (chosen.length > 0) return chosen;
  throw new RangeError(`ROW: no row has "${only}" in its name; there are: ${rows.map(({ name }) => name).join("; ")}`);
}

/** The version that each process starts as, by name. */
export function versionsAtStart(row: Row): Map<string, Version> {
  const roles = { entry: row.entries, logic: row.logics, extlogic: row.extlogics };
  const versions = new Map<string, Version>([["migrate", row.schema]]);
  for (const [role, ofRole] of Object.entries(roles))
    for (const [at, version] of ofRole.entries()) versions.set(`${role}-${at}`, version);
  return versions;
}

/** Does a logic hand its sessions over while people chat? */
export function movesSessions({ steps }: Row): boolean {
  return steps.some((step) => step.do === "roll" && step.process.startsWith("logic-"));
}
