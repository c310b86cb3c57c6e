// SPDX-License-Identifier: Apache-2.0
// An ImCluster beside the demo whose PostgreSQL is not its own, so that it can be deleted and made again: with the demo's keys and
// certificate, and a database of the demo's server.
import pg from "pg";
import { DEMO_NAME, DEMO_NAMESPACE } from "../../scripts/up/demo.ts";
import type { KubeTools } from "../../scripts/up/kube-tools.ts";
import { PACE } from "./pace.ts";
import type { LiveSite } from "./site.ts";

export const SECOND_NAME = "second";
const DATABASE = "second";
const SECRET = "second-database";
const TIMEOUT_MS = 30_000;

/** Its manifest. Pure. */
export function secondManifest(): object {
  return {
    apiVersion: "imcluster.io/v1alpha1",
    kind: "ImCluster",
    metadata: { name: SECOND_NAME, namespace: DEMO_NAMESPACE },
    spec: {
      entry: { ...PACE, replicas: 2 },
      logic: { replicas: 2 },
      extlogic: { replicas: 1 },
      postgres: { urlSecretRef: { name: SECRET, key: "url" } },
      tls: { secretName: `${DEMO_NAME}-tls` },
      auth: { audience: DEMO_NAME, jwksSecretRef: { name: `${DEMO_NAME}-auth`, key: "jwks.json" } },
    },
  };
}

/** `url` with another database, and another host where one is given. Pure. */
export function databaseUrl(url: string, database: string, host?: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  if (host !== undefined) changed.hostname = host;
  return changed.href;
}

async function query(url: string, text: string): Promise<void> {
  const options = { connectionString: url, connectionTimeoutMillis: TIMEOUT_MS, query_timeout: TIMEOUT_MS };
  const client = new pg.Client(options);
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}

/** The database and the Secret that names it; what an earlier run left there goes. */
export async function makeSecondDatabase(demo: LiveSite): Promise<void> {
  const url = await demo.secretValue(`${DEMO_NAME}-postgres`, "url");
  const [server] = await demo.podsOf("postgres");
  const admin = databaseUrl(url, "postgres", server?.ip ?? "");
  await query(admin, `DROP DATABASE IF EXISTS ${DATABASE} WITH (FORCE)`);
  await query(admin, `CREATE DATABASE ${DATABASE}`);
  const metadata = { name: SECRET, namespace: DEMO_NAMESPACE };
  const secret = { apiVersion: "v1", kind: "Secret", metadata, stringData: { url: databaseUrl(url, DATABASE) } };
  await apply(demo.tools, secret);
}

/** Removes the fleet, its database and the Secret; fine when they are not there. */
export async function removeSecondFleet(demo: LiveSite, second: LiveSite): Promise<void> {
  if (await second.findImCluster()) await second.remove();
  const [server] = await demo.podsOf("postgres");
  const url = await demo.secretValue(`${DEMO_NAME}-postgres`, "url");
  await query(databaseUrl(url, "postgres", server?.ip ?? ""), `DROP DATABASE IF EXISTS ${DATABASE} WITH (FORCE)`);
  await demo.tools.kubectl(["delete", "secret", SECRET, "-n", DEMO_NAMESPACE, "--ignore-not-found"]);
}

/** Applies the fleet and waits until it serves. Returns the address where clients connect. */
export async function makeSecondFleet(second: LiveSite): Promise<string> {
  await apply(second.tools, secondManifest());
  await second.settled("the second fleet serves");
  return await second.until("it has an address", async () => (await second.imCluster()).status?.address);
}

async function apply(tools: KubeTools, object: object): Promise<void> {
  await tools.kubectl(["apply", "-f", "-"], { input: JSON.stringify(object) });
}
