// SPDX-License-Identifier: Apache-2.0
// Markers in everything that is private go through a real fleet by every path; then all that it left is searched.
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import pg from "pg";
import { Command } from "#proto/commands.ts";
import { temporaryFolder } from "../../harness/folders.ts";
import { waitUntil } from "../../harness/processes.ts";
import { RawConnection } from "../../process/raw-connection.ts";
import { attack } from "./attacks.ts";
import { CanarySet, forgedLines, type Hit } from "./canary-set.ts";
import { crash, refusePassword, refuseRows, spoilFiles, startWrong } from "./faults.ts";
import { breakRules, callBackends, reachAbsent, talk } from "./people.ts";
import { type CanaryFleet, startCanaryFleet } from "./secrets.ts";

const ASK_TIMEOUT_MS = 20_000;
/** What the database may hold in the clear: it is the store of it. Of the rest it has hashes, sealed values, or nothing. */
const STORED =
  /body|word of the rules|subject|group|report|appeal|phone|title|fact|card$|text of|reason|order|device|message id|preferences|stranger|id of a token|answer|field|frame/;

/** What a run has shown. */
export interface CanaryReport {
  readonly canaries: number;
  readonly sorts: Readonly<Record<string, number>>;
  /** Logs, answers, stores and environments that were searched, and their characters. */
  readonly places: number;
  readonly characters: number;
  readonly hits: readonly Hit[];
  /** Lines of logs that are not one JSON object. */
  readonly forged: readonly string[];
}

/** Everything that was left behind, by where. */
type Places = Map<string, string>;

/** What the logs must tell of, or the run has shown nothing. */
const WITNESSES = {
  logic: ["WRONGPASS", 'constraint \\"planted\\"', "a planted fault", '"now":"debug"'],
  extlogic: ["WRONGPASS", "a planted fault"],
  entry: ["a planted fault", '"now":"debug"'],
};

/** So do the spans that the two collectors were sent: of entry and logic, of extlogic. */
const SPANS = {
  taking: ["send messages", "append messages", "deliver messages"],
  refusing: ["push messages", "notify"],
} as const;

/** @throws Error when something did not happen that was to be looked at */
export async function runCanaries(): Promise<CanaryReport> {
  const set = new CanarySet();
  const dir = temporaryFolder("imcluster-canaries-");
  try {
    const at = await startCanaryFleet(set, dir);
    try {
      const places = await leaveTraces(at);
      for (const name of readdirSync(at.fleet.dir).filter((one) => one.endsWith(".log")))
        places.set(name, readFileSync(join(at.fleet.dir, name), "utf8"));
      for (const [role, told] of Object.entries(WITNESSES))
        for (const what of told)
          if (!places.get(`${role}-0.log`)?.includes(what)) throw new Error(`${role} has not said: ${what}`);
      const hits = [...places].flatMap(([place, text]) => set.search(place, text));
      hits.push(...set.search("PostgreSQL", await rowsOf(at.fleet.postgresUrl), (sort) => !STORED.test(sort)));
      const logs = [...places].filter(([name]) => name.endsWith(".log"));
      const forged = logs.flatMap(([name, text]) => forgedLines(text).map((line) => `${name}: ${line}`));
      const characters = [...places.values()].reduce((sum, text) => sum + text.length, 0);
      return { canaries: set.size, sorts: set.sorts, places: places.size + 1, characters, hits, forged };
    } finally {
      await at.close();
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function leaveTraces(at: CanaryFleet): Promise<Places> {
  const { fleet, redis } = at;
  const places: Places = new Map();
  const monitor = await watchRedis(redis.port);
  // Who talks with nobody hears nothing of the others.
  const bystander = await RawConnection.open(fleet, "tls");
  bystander.hello(await fleet.tokens.mint("bystander"));
  await bystander.frame(Command.WELCOME);
  const wrong = startWrong(at);
  await Promise.all([talk(at), reachAbsent(at)]);
  await breakRules(at);
  await callBackends(at);
  await Promise.all([attack(at), spoilFiles(at)]);
  await refuseRows(at);
  await refusePassword(at);
  for (const [index, text] of (await wrong).entries()) places.set(`a wrong start ${index}`, text);
  places.set("what a bystander was sent", bystander.text);
  bystander.destroy();
  for (const process of fleet.processes) {
    for (const path of ["metrics", "debug", "livez", "readyz"]) {
      const url = `http://127.0.0.1:${process.adminPort}/${path}`;
      const answer = await fetch(url, { signal: AbortSignal.timeout(ASK_TIMEOUT_MS) });
      places.set(`/${path} of ${process.name}`, await answer.text());
    }
    for (const file of ["cmdline", "environ"])
      places.set(`${file} of ${process.name}`, readFileSync(`/proc/${process.pid}/${file}`, "utf8"));
  }
  for (const collector of ["taking", "refusing"] as const) {
    const { bodies } = at.collectors[collector];
    const isTold = (): boolean =>
      SPANS[collector].every((name) => bodies.some((one) => one.includes(`"name":"${name}`)));
    await waitUntil(`the ${collector} collector has every kind of span`, isTold, ASK_TIMEOUT_MS);
    places.set(`spans of the ${collector} collector`, bodies.join("\n"));
  }
  places.set("Redis", monitor.text());
  monitor.socket.destroy();
  await crash(at);
  return places;
}

/** Whatever is written to Redis, and read from it. */
function watchRedis(port: number): Promise<{ text: () => string; socket: Socket }> {
  return new Promise((resolve, reject) => {
    const parts: string[] = [];
    const socket = connect({ host: "127.0.0.1", port });
    socket.setEncoding("utf8").once("error", reject);
    socket.on("data", (part: string) => {
      parts.push(part);
      if (parts.length === 1) resolve({ socket, text: () => parts.join("") });
    });
    socket.write("MONITOR\r\n");
  });
}

/** Every row of every table, as text. */
async function rowsOf(url: string): Promise<string> {
  const db = new pg.Client({ connectionString: url });
  await db.connect();
  try {
    const listed = await db.query<{ name: string }>(
      "SELECT quote_ident(table_name) AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'",
    );
    const texts: string[] = [];
    for (const { name } of listed.rows) {
      const { rows } = await db.query<{ row: string }>(`SELECT t::text AS row FROM ${name} t`);
      texts.push(...rows.map(({ row }) => row));
    }
    return texts.join("\n");
  } finally {
    await db.end();
  }
}
