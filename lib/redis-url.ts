// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { ErrorCode, ImError } from "./errors.ts";

/** `redis://` one server · `redis+sentinel://` the master that sentinels name · `redis+cluster://` a Redis Cluster. */
export type RedisMode = "standalone" | "sentinel" | "cluster";

/** Where Redis is, read from a URL; see {@link parseRedisUrl}. */
export interface RedisTarget {
  readonly mode: RedisMode;
  /** The server; the sentinels; or some nodes of the Cluster, which name the others. */
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  readonly isTls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** 0 in a Cluster. */
  readonly database: number;
  /** Sentinel only: name of the master group. */
  readonly group: string;
  /** Sentinel only: how to log in at the sentinels themselves. */
  readonly sentinelUsername: string | undefined;
  readonly sentinelPassword: string | undefined;
}

const SHAPE = /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(?:([^@/]*)@)?([^/?@]+)(?:\/([^?]*))?(?:\?(.*))?$/;
const NODE = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/;
const REDIS_PORT = 6379;
const SENTINEL_PORT = 26_379;
const QUERY: ReadonlySet<string> = new Set(["passwordFile", "sentinelUsername", "sentinelPassword"]);

/** For messages and `describe()`. */
export const REDIS_URL_REMEDY =
  "redis://user:password@host:6379/0, redis+sentinel://host1,host2/group or redis+cluster://host1,host2 (rediss for TLS)";

/**
 * Reads `redis[s][+sentinel|+cluster]://[user[:password]@]host[:port][,host[:port]...][/group][/database][?query]`.
 * Ports default to 6379, of sentinels to 26379. Query: `passwordFile` = path whose trimmed content is the password,
 * `sentinelUsername` and `sentinelPassword` for sentinels that want a login of their own.
 * @throws {ImError} BAD_REQUEST that says what is wrong; it never repeats the password
 */
export function parseRedisUrl(url: string): RedisTarget {
  const [, scheme, kind, user, hosts = "", path = "", query = ""] =
    SHAPE.exec(url) ?? fail(`is not ${REDIS_URL_REMEDY}`);
  const mode = (kind ?? "standalone") as RedisMode;
  const nodes = hosts.split(",").map((text) => parseNode(text, mode));
  if (mode === "standalone" && nodes.length > 1)
    fail("names several hosts: say redis+sentinel:// or redis+cluster://, or name one");
  const params = new URLSearchParams(query);
  for (const name of params.keys()) if (!QUERY.has(name)) fail(`has an unknown parameter ${name}`);
  return {
    mode,
    nodes,
    isTls: scheme === "rediss",
    ...parseUser(user, params),
    ...parsePath(mode, path),
    sentinelUsername: params.get("sentinelUsername") ?? undefined,
    sentinelPassword: params.get("sentinelPassword") ?? undefined,
  };
}

function parseNode(text: string, mode: RedisMode): { host: string; port: number } {
  const [, host = "", port] = NODE.exec(text) ?? fail(`has a bad host ${JSON.stringify(text)}`);
  const number = port === undefined ? (mode === "sentinel" ? SENTINEL_PORT : REDIS_PORT) : Number(port);
  if (number < 1 || number > 65_535) fail(`has a bad port ${number}`);
  return { host: host.replace(/^\[(.*)\]$/, "$1"), port: number };
}

function parseUser(user: string | undefined, params: URLSearchParams): Pick<RedisTarget, "username" | "password"> {
  const colon = user?.indexOf(":") ?? -1;
  const name = decode(colon < 0 ? (user ?? "") : (user ?? "").slice(0, colon));
  const secret = colon < 0 ? "" : decode((user ?? "").slice(colon + 1));
  const file = params.get("passwordFile");
  if (file !== null && secret !== "") fail("has a password and a passwordFile: remove one");
  const password = file === null ? secret : readSecret(file);
  return { username: name === "" ? undefined : name, password: password === "" ? undefined : password };
}

function parsePath(mode: RedisMode, path: string): Pick<RedisTarget, "group" | "database"> {
  const parts = path === "" ? [] : path.split("/").map(decode);
  const group = mode === "sentinel" ? (parts.shift() ?? "") : "";
  if (mode === "sentinel" && group === "") fail("names no master group: add it as /group after the sentinels");
  const [database = "0", ...more] = parts;
  if (!/^\d{1,4}$/.test(database) || more.length > 0) fail(`has a bad database /${parts.join("/")}: it is a number`);
  if (mode === "cluster" && database !== "0") fail("names a database: a Redis Cluster has only 0");
  return { group, database: Number(database) };
}

function readSecret(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    return fail(`has a passwordFile that cannot be read: ${path} (${(error as NodeJS.ErrnoException).code})`);
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return fail("has a bad percent escape");
  }
}

function fail(problem: string): never {
  throw new ImError(ErrorCode.BAD_REQUEST, `the Redis URL ${problem}`);
}
