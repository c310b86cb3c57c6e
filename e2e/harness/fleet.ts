// SPDX-License-Identifier: Apache-2.0
import { randomBytes, randomUUID, X509Certificate } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import type { JWK } from "jose";
import { testedBuild } from "./build.ts";
import { temporaryFolder } from "./folders.ts";
import { LOOPBACK, type Place } from "./place.ts";
import { freePort } from "./ports.ts";
import { PostgresServer, startPostgres } from "./postgres.ts";
import { RedisServer, startRedis } from "./redis.ts";
import { ServiceProcess } from "./service-process.ts";
import { authorityAt, createTestAuthority, issueRoleFolders, type TestAuthority } from "./tls.ts";
import { createTokenAuthority, type TokenAuthority, tokenAuthorityFrom } from "./tokens.ts";

/** Options of {@link startFleet}. */
export interface FleetOptions {
  /** Default 2. */
  entries?: number;
  /** Default 1. */
  logics?: number;
  /** Default 0. */
  extlogics?: number;
  /** A running server, or pair of them, to use; default: one of its own, stopped with the fleet. */
  postgres?: DatabaseHost;
  /** A running server, Sentinel group or Cluster to use; default: one of its own, stopped with the fleet. */
  redis?: RedisHost;
  /** PostgreSQL with fsync, as in production. Default false. Only without `postgres`. */
  durable?: boolean;
  /** Mutual TLS between the processes. Default false: plaintext on loopback. */
  internalTls?: boolean;
  /** For every process; then per role. */
  env?: Readonly<Record<string, string>>;
  entryEnv?: Readonly<Record<string, string>>;
  /** On top of it, for one entry. */
  entryEnvOf?: (index: number) => Readonly<Record<string, string>>;
  logicEnv?: Readonly<Record<string, string>>;
  /** Of one logic, beside {@link logicEnv}. */
  logicEnvOf?: (index: number) => Readonly<Record<string, string>>;
  extlogicEnv?: Readonly<Record<string, string>>;
  /** For node itself, per role: `{ entry: ["--cpu-prof"] }`. */
  nodeArgs?: Partial<Record<"entry" | "logic" | "extlogic", readonly string[]>>;
  /** Keys, certificates and logs live here and stay: the next fleet with this folder goes on with them. Default: temporary. */
  dir?: string;
  /** Database to use; default: a new one. */
  postgresUrl?: string;
  /** TLS port of each entry; default: free ones. */
  entryTlsPorts?: readonly number[];
  /** Where a process runs, by its name: `entry-0`, `logic-1`, `extlogic-0`, `postgres`, `redis`. Default: loopback. */
  placeOf?: (name: string) => Place;
  /** Folder of the build that a process runs, by its name or `migrate`, asked at each of its starts. Default: {@link testedBuild}. */
  buildOf?: (name: string) => string;
}

/** {@link PostgresServer}, or a pair of them. */
export interface DatabaseHost {
  createDatabase(name: string): Promise<string>;
}

/** {@link RedisServer}, a Sentinel group or a Cluster. */
export interface RedisHost {
  readonly url: string;
  flush(): Promise<void>;
}

/** Name in the entries' certificates: what clients verify. */
export const SERVER_NAME = "dev.imcluster.local";
const CLUSTER = "dev";
const FOLDER_PREFIX = "imcluster-fleet-";
const MIGRATE_TIMEOUT_MS = 60_000;
const MESH_TIMEOUT_MS = 30_000;

/** An entry process and where clients reach it. */
export class EntryProcess extends ServiceProcess {
  /** Address that clients dial. */
  readonly host: string;
  /** First part of the name of each of its incarnations, as a pod's uid would be. */
  readonly podUid: string;
  readonly tlsPort: number;
  readonly plainPort: number;
  readonly httpPort: number;
  readonly controlPort: number;

  constructor(options: ConstructorParameters<typeof ServiceProcess>[0], ports: EntryPorts) {
    super(options);
    this.host = (options.place ?? LOOPBACK).host;
    this.podUid = options.env.IM_POD_UID ?? "";
    this.tlsPort = ports.tls;
    this.plainPort = ports.plain;
    this.httpPort = ports.http;
    this.controlPort = ports.control;
  }
}

interface EntryPorts {
  tls: number;
  plain: number;
  http: number;
  control: number;
  admin: number;
}

/** A whole fleet of real processes, on loopback unless placed elsewhere. */
export class Fleet {
  readonly #postgres: DatabaseHost;
  readonly #redis: RedisHost;
  readonly tokens: TokenAuthority;
  /** PEM that clients trust. */
  readonly ca: string;
  readonly postgresUrl: string;
  readonly entries: EntryProcess[] = [];
  readonly logics: ServiceProcess[] = [];
  /** `host:port` of each logic, for its control services. */
  readonly logicTargets: string[] = [];
  readonly extlogics: ServiceProcess[] = [];
  /** Logs, keys and certificates; removed by {@link stopAll}. */
  readonly dir: string;
  readonly #closers: (() => Promise<void> | void)[];

  constructor(parts: FleetParts) {
    this.#postgres = parts.postgres;
    this.#redis = parts.redis;
    this.tokens = parts.tokens;
    this.ca = parts.ca;
    this.postgresUrl = parts.postgresUrl;
    this.dir = parts.dir;
    this.#closers = parts.closers;
  }

  /** Its single server. @throws TypeError when the fleet was given something else: use that */
  get postgres(): PostgresServer {
    if (this.#postgres instanceof PostgresServer) return this.#postgres;
    throw new TypeError("the fleet runs on a database that it was given");
  }

  /** Its single server. @throws TypeError when the fleet was given something else: use that */
  get redis(): RedisServer {
    if (this.#redis instanceof RedisServer) return this.#redis;
    throw new TypeError("the fleet runs on a Redis that it was given");
  }

  get redisUrl(): string {
    return this.#redis.url;
  }

  get processes(): ServiceProcess[] {
    return [...this.entries, ...this.logics, ...this.extlogics];
  }

  /** The entry at `index`. @throws RangeError when there is none */
  entry(index: number): EntryProcess {
    return at(this.entries, index, "entry");
  }

  /** The logic at `index`. @throws RangeError when there is none */
  logic(index: number): ServiceProcess {
    return at(this.logics, index, "logic");
  }

  /** Resolves when every entry is attached to every logic; an entry is ready with the first. */
  async waitMesh(): Promise<void> {
    for (const entry of this.entries) await entry.waitMetric("im_entry_uplinks", this.logics.length, MESH_TIMEOUT_MS);
  }

  /** Ends of all logs: for the message of a failed test. */
  explain(): string {
    return this.processes.map((process) => process.logTail()).join("\n");
  }

  /** Stops everything it started: entries first, as a drain would. May be called more than once. */
  async stopAll(graceMs = 5000): Promise<void> {
    await Promise.all(this.entries.map((entry) => entry.stop(graceMs)));
    await Promise.all([...this.logics, ...this.extlogics].map((process) => process.stop(graceMs)));
    for (const close of this.#closers.splice(0)) await close();
  }
}

interface FleetParts extends Pick<Fleet, "tokens" | "ca" | "postgresUrl" | "dir"> {
  postgres: DatabaseHost;
  redis: RedisHost;
  closers: (() => Promise<void> | void)[];
}

function at<T>(items: readonly T[], index: number, what: string): T {
  const item = items[index];
  if (item === undefined) throw new RangeError(`no ${what} ${index}: the fleet has ${items.length}`);
  return item;
}

/**
 * Starts PostgreSQL, Redis and the fleet's processes; resolves when all are ready.
 * @throws Error with the ends of their logs when something does not come up
 */
export async function startFleet(options: FleetOptions = {}): Promise<Fleet> {
  const dir = options.dir ?? temporaryFolder(FOLDER_PREFIX);
  const closers: (() => Promise<void> | void)[] = [];
  if (options.dir === undefined) closers.push(() => rmSync(dir, { recursive: true, force: true }));
  let fleet: Fleet | undefined;
  try {
    const [postgres, redis] = await startStores(options, closers);
    const authority = await ensureCertificates(dir);
    const internalTls = options.internalTls
      ? await issueRoleFolders(authority, join(dir, "internal-tls"), ["entry", "logic", "extlogic"] as const)
      : undefined;
    const tokens = await ensureTokens(dir);
    const postgresUrl = options.postgresUrl ?? (await postgres.createDatabase(`im_${randomUUID().slice(0, 8)}`));
    fleet = new Fleet({ postgres, redis, tokens, ca: authority.ca, postgresUrl, dir, closers });
    await migrateDatabase(postgresUrl, dir, options.buildOf?.("migrate"));
    await addProcesses(fleet, options, internalTls);
    await Promise.all(fleet.processes.map((process) => process.start()));
    await Promise.all(fleet.processes.map((process) => process.waitReady()));
    await fleet.waitMesh();
    return fleet;
  } catch (error) {
    if (fleet) await fleet.stopAll();
    else for (const close of closers) await close();
    throw error;
  }
}

/** What public authorities issue; scanners warn of less than 60 that are left. */
const CERTIFICATE_DAYS = 90;
const RENEW_BEFORE_MS = 24 * 3_600_000;

/** The authority and the entries' certificate below `dir`: those that are there when they are still good for a day. */
async function ensureCertificates(dir: string): Promise<TestAuthority> {
  const authorityDir = join(dir, "authority");
  const certificate = join(dir, "tls", "tls.crt");
  if (existsSync(certificate)) {
    const { validTo } = new X509Certificate(readFileSync(certificate));
    if (Date.parse(validTo) - Date.now() > RENEW_BEFORE_MS) return authorityAt(authorityDir);
  }
  const authority = await createTestAuthority(authorityDir, CERTIFICATE_DAYS);
  const dnsNames = [SERVER_NAME, "localhost", hostname()];
  await authority.issue(join(dir, "tls"), { dnsNames, ips: ["127.0.0.1", "::1"], days: CERTIFICATE_DAYS });
  return authority;
}

/** The signing key below `dir`, made when it is not there. */
async function ensureTokens(dir: string): Promise<TokenAuthority> {
  const [path, pushKeys] = [join(dir, "private.jwk.json"), join(dir, "push-keys")];
  // A bench brings signing keys of its own, and none for push tokens.
  if (!existsSync(pushKeys)) writeFileSync(pushKeys, `${randomBytes(32).toString("base64")}\n`);
  const names = { audience: CLUSTER };
  if (existsSync(path)) return await tokenAuthorityFrom(JSON.parse(readFileSync(path, "utf8")) as JWK, names);
  const tokens = await createTokenAuthority(names);
  tokens.writePrivate(path);
  tokens.writeJwks(join(dir, "jwks.json"));
  return tokens;
}

async function startStores(
  options: FleetOptions,
  closers: (() => Promise<void> | void)[],
): Promise<[DatabaseHost, RedisHost]> {
  const placed = (name: string): { place?: Place } => (options.placeOf ? { place: options.placeOf(name) } : {});
  const durable = options.durable ?? false;
  return [options.postgres ?? (await ownPostgres()), options.redis ?? (await ownRedis())];

  async function ownPostgres(): Promise<PostgresServer> {
    const server = await startPostgres({ durable, ...placed("postgres") });
    closers.push(() => server.stop());
    return server;
  }

  async function ownRedis(): Promise<RedisServer> {
    const server = await startRedis(placed("redis"));
    closers.push(() => server.stop());
    return server;
  }
}

/** Runs `node logic/migrate.ts` of a build to its end. @throws Error with its log when it fails */
export async function migrateDatabase(postgresUrl: string, logDir: string, build = testedBuild()): Promise<void> {
  const process = new ServiceProcess({
    name: "migrate",
    script: "logic/migrate.ts",
    env: { IM_POSTGRES_URL: postgresUrl },
    adminPort: 0,
    build: () => build,
    logPath: join(logDir, "migrate.log"),
  });
  await process.start();
  const exit = await process.waitExit(MIGRATE_TIMEOUT_MS);
  if (exit.code !== 0) throw new Error(`migration failed\n${process.logTail()}`);
}

type InternalTls = Record<"entry" | "logic" | "extlogic", string>;

async function addProcesses(fleet: Fleet, options: FleetOptions, internalTls: InternalTls | undefined): Promise<void> {
  const placeOf = options.placeOf ?? (() => LOOPBACK);
  const common = (role: keyof InternalTls, index: number, adminPort: number): Record<string, string> => ({
    IM_CLUSTER: CLUSTER,
    IM_NAMESPACE: "default",
    IM_POD_NAME: `${role}-${index}`,
    IM_POD_UID: randomUUID(),
    IM_POD_IP: placeOf(`${role}-${index}`).host,
    IM_VERSION: "test",
    IM_ADMIN_PORT: String(adminPort),
    ...(internalTls ? { IM_INTERNAL_TLS_DIR: internalTls[role] } : {}),
    ...options.env,
  });
  const storeEnv = {
    IM_POSTGRES_URL: fleet.postgresUrl,
    IM_REDIS_URL: fleet.redisUrl,
    IM_PUSH_TOKEN_KEYS_FILE: join(fleet.dir, "push-keys"),
  };
  const service = (role: keyof InternalTls, index: number, script: string, adminPort: number) => ({
    name: `${role}-${index}`,
    script,
    adminPort,
    logPath: join(fleet.dir, `${role}-${index}.log`),
    nodeArgs: options.nodeArgs?.[role] ?? [],
    place: placeOf(`${role}-${index}`),
    build: () => options.buildOf?.(`${role}-${index}`) ?? testedBuild(),
  });
  const targets = fleet.logicTargets;
  for (let i = 0; i < (options.logics ?? 1); i++) {
    const [adminPort, grpcPort] = [await freePort(), await freePort()];
    targets.push(`${placeOf(`logic-${i}`).host}:${grpcPort}`);
    const env = {
      ...common("logic", i, adminPort),
      ...storeEnv,
      IM_GRPC_PORT: String(grpcPort),
      IM_JWKS_FILE: join(fleet.dir, "jwks.json"),
      IM_TOKEN_ISSUER: fleet.tokens.issuer,
      IM_TOKEN_AUDIENCE: fleet.tokens.audience,
      ...options.logicEnv,
      ...options.logicEnvOf?.(i),
    };
    fleet.logics.push(new ServiceProcess({ ...service("logic", i, "logic/logic.ts", adminPort), env }));
  }
  for (let i = 0; i < (options.entries ?? 2); i++) {
    const entryPorts = await entryPortsOf(options.entryTlsPorts?.[i]);
    const env = {
      ...common("entry", i, entryPorts.admin),
      IM_TLS_PORT: String(entryPorts.tls),
      IM_PLAIN_PORT: String(entryPorts.plain),
      IM_HTTP_PORT: String(entryPorts.http),
      IM_CONTROL_PORT: String(entryPorts.control),
      IM_TLS_DIR: join(fleet.dir, "tls"),
      // Tests do not depend on how busy their machine is.
      IM_SHED_LAG_MS: "0",
      IM_LOGIC_TARGETS: targets.join(","),
      ...options.entryEnv,
      ...options.entryEnvOf?.(i),
    };
    fleet.entries.push(
      new EntryProcess({ ...service("entry", i, "gateway/main.ts", entryPorts.admin), env }, entryPorts),
    );
  }
  for (let i = 0; i < (options.extlogics ?? 0); i++) {
    const adminPort = await freePort();
    const env = { ...common("extlogic", i, adminPort), ...storeEnv, ...options.extlogicEnv };
    fleet.extlogics.push(new ServiceProcess({ ...service("extlogic", i, "logic/extlogic.ts", adminPort), env }));
  }
}

async function entryPortsOf(tlsPort: number | undefined): Promise<EntryPorts> {
  return {
    tls: tlsPort ?? (await freePort()),
    plain: await freePort(),
    http: await freePort(),
    control: await freePort(),
    admin: await freePort(),
  };
}
