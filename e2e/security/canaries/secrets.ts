// SPDX-License-Identifier: Apache-2.0
// A fleet all of whose secrets are canaries, in files as in a pod: none of them is in an environment or on a command line.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startBackend } from "../../../logic/hooks/hook-kit.ts";
import { makeKey, SCOPES } from "../../../logic/server-api/api-key.ts";
import { type Fleet, startFleet } from "../../harness/fleet.ts";
import { OtlpCollector } from "../../harness/otlp-collector.ts";
import { freePort } from "../../harness/ports.ts";
import { type PostgresServer, startPostgres } from "../../harness/postgres.ts";
import { type RedisServer, startRedis } from "../../harness/redis.ts";
import { APNS_KEY_ID, APNS_TEAM_ID, APNS_TOPIC, type ApnsSandbox, startApnsSandbox } from "../../sandbox/apns.ts";
import { type FcmSandbox, startFcmSandbox } from "../../sandbox/fcm.ts";
import type { ProviderSandbox } from "../../sandbox/sandbox.ts";
import { SMS_SECRET, SMS_TEMPLATE, startSmsSandbox } from "../../sandbox/sms.ts";
import type { CanarySet } from "./canary-set.ts";

/** User of Redis with a password; the one without is the tests'. */
const REDIS_USER = "im";

/** A running fleet and everything around it. */
export interface CanaryFleet {
  readonly set: CanarySet;
  readonly fleet: Fleet;
  readonly postgres: PostgresServer;
  readonly redis: RedisServer;
  readonly redisPassword: string;
  readonly apiPort: number;
  readonly apiKey: string;
  /** Of a rule that refuses them. */
  readonly words: readonly string[];
  readonly sandboxes: { readonly apns: ApnsSandbox; readonly fcm: FcmSandbox; readonly sms: ProviderSandbox };
  readonly shop: Awaited<ReturnType<typeof startBackend>>;
  /** Everything is traced. The collector of extlogic refuses what it is sent, and is told it all the same. */
  readonly collectors: { readonly taking: OtlpCollector; readonly refusing: OtlpCollector };
  /** Where secrets, levels and logs are. */
  readonly dir: string;
  close(): Promise<void>;
}

/** A file with a secret, and the variable that names it. The variable itself is empty: it would win. */
function secretFile(dir: string, name: string, text: string): Record<string, string> {
  const path = join(dir, `${name}.secret`);
  writeFileSync(path, text);
  return { [name]: "", [`${name}_FILE`]: path };
}

const withPassword = (url: string, user: string, password: string): string => {
  const parsed = new URL(url);
  parsed.username ||= user;
  parsed.password = password;
  return parsed.href;
};

export async function startCanaryFleet(set: CanarySet, dir: string): Promise<CanaryFleet> {
  const closers: (() => Promise<unknown>)[] = [];
  const opened = async <T extends object>(starting: Promise<T>, close: (one: T) => Promise<unknown>): Promise<T> => {
    const one = await starting;
    closers.push(() => close(one));
    return one;
  };
  const close = async (): Promise<void> => {
    for (const one of closers.reverse()) await one();
  };
  try {
    const stop = (server: { stop(): Promise<void> }) => server.stop();
    const end = (server: { close(): Promise<void> }) => server.close();
    const hookSecret = set.word("webhook secret");
    const [postgres, redis, apns, fcm, sms, shop, taking, refusing] = await Promise.all([
      opened(startPostgres({}), stop),
      opened(startRedis(), stop),
      opened(startApnsSandbox(), end),
      opened(startFcmSandbox(), end),
      opened(startSmsSandbox(), end),
      opened(startBackend(hookSecret), end),
      opened(OtlpCollector.start(), end),
      opened(OtlpCollector.start(), end),
    ]);
    refusing.status = 401;
    const redisPassword = set.word("Redis password");
    await redis.command(`ACL SETUSER ${REDIS_USER} on >${redisPassword} ~* &* +@all`);
    const postgresUrl = await postgres.createDatabase("canaries");
    const apiPort = await freePort();
    const [apiKey, otherKey] = [makeKey(), makeKey()];
    for (const key of [apiKey, otherKey]) set.add("API key", key.text);
    set.add("key of a push provider", SMS_SECRET);
    set.addKey("key of a push provider", apns.privateKey);
    set.addKey("key of a push provider", String(JSON.parse(fcm.serviceAccount).private_key));
    const stores = {
      ...secretFile(dir, "IM_POSTGRES_URL", withPassword(postgresUrl, "postgres", set.word("database password"))),
      ...secretFile(dir, "IM_REDIS_URL", withPassword(redis.url, REDIS_USER, redisPassword)),
    };
    const hooks = [
      {
        ...{ name: "shop", url: `${shop.url}?key=${set.word("secret in the URL of a webhook")}`, secret: hookSecret },
        ...{ events: ["message.after", "presence", "push.result"], content: true, timeoutMs: 1000, tries: 2 },
      },
    ];
    const hooksFile = join(dir, "hooks.json");
    writeFileSync(hooksFile, JSON.stringify({ hooks }));
    const keysFile = join(dir, "api-keys.json");
    const keys = [apiKey, otherKey].map(({ text }, at) => ({ key: text, name: `key ${at}`, scopes: SCOPES }));
    writeFileSync(keysFile, JSON.stringify(keys));
    const policyFile = join(dir, "policy.json");
    const words = [set.word("word of the rules"), set.word("word of the rules")];
    const rule = { id: "words", kind: "words", verdict: "bounce", words, explanation: "not that word" };
    writeFileSync(policyFile, JSON.stringify({ version: 1, rules: [rule] }));
    const cardKeysFile = join(dir, "card-keys");
    const cardKey = set.add(
      "card key",
      Buffer.from(set.word("card key").padEnd(32, "0").slice(0, 32)).toString("base64"),
    );
    writeFileSync(cardKeysFile, `k1 ${cardKey}\n`);
    const levelDir = join(dir, "level");
    mkdirSync(levelDir);
    writeFileSync(join(levelDir, "level"), "debug");
    const headers = `authorization=Bearer%20${set.word("credential for the collector")}`;
    const tracing = {
      ...{ OTEL_EXPORTER_OTLP_ENDPOINT: taking.url, IM_TRACE_RATIO: "1", IM_TRACES_PER_SECOND: "1000" },
      ...secretFile(dir, "OTEL_EXPORTER_OTLP_HEADERS", headers),
    };
    const hooked = { IM_HOOKS_FILE: hooksFile, IM_WEBHOOK_ALLOWED_NETWORKS: "127.0.0.0/8" };
    const crash = ["--import", new URL("planted-crash.ts", import.meta.url).href];
    const fleet = await opened(
      startFleet({
        ...{ entries: 1, logics: 1, extlogics: 1, internalTls: true, postgres, postgresUrl, redis },
        env: { ...tracing, IM_LOG_LEVEL_DIR: levelDir, PLANTED_CRASH_FILE: join(dir, "crash.json") },
        nodeArgs: { entry: crash, logic: crash, extlogic: crash },
        logicEnv: {
          ...{ ...stores, ...hooked, IM_API_PORT: String(apiPort), IM_API_KEYS_FILE: keysFile },
          ...{ IM_POLICY_FILE: policyFile, IM_CARD_KEYS_FILE: cardKeysFile },
        },
        extlogicEnv: {
          ...{ ...stores, ...hooked, OTEL_EXPORTER_OTLP_ENDPOINT: refusing.url },
          ...{ IM_PUSH_APNS_URL: apns.url, IM_PUSH_APNS_KEY_ID: APNS_KEY_ID, IM_PUSH_APNS_TEAM_ID: APNS_TEAM_ID },
          ...{ IM_PUSH_APNS_TOPIC: APNS_TOPIC, ...secretFile(dir, "IM_PUSH_APNS_KEY", apns.privateKey) },
          ...{ IM_PUSH_FCM_URL: fcm.url, ...secretFile(dir, "IM_PUSH_FCM_SERVICE_ACCOUNT", fcm.serviceAccount) },
          ...{ IM_PUSH_SMS_URL: sms.url, IM_PUSH_SMS_TEMPLATE: SMS_TEMPLATE },
          ...secretFile(dir, "IM_PUSH_SMS_SECRET", SMS_SECRET),
          IM_PUSH_POLICY: JSON.stringify({
            steps: [{ channel: "app" }, { channel: "sms", delay: "500", unreachedDelay: "500" }],
          }),
        },
      }),
      (one) => one.stopAll(),
    );
    const read = (...path: string[]): string => readFileSync(join(fleet.dir, ...path), "utf8");
    for (const role of ["entry", "logic", "extlogic"]) set.addKey("TLS key", read("internal-tls", role, "tls.key"));
    set.addKey("TLS key", read("tls", "tls.key"));
    set.add("key that seals push tokens", read("push-keys").trim());
    const parts = { set, fleet, postgres, redis, redisPassword, apiPort, apiKey: apiKey.text, words };
    return { ...parts, sandboxes: { apns, fcm, sms }, shop, collectors: { taking, refusing }, dir, close };
  } catch (error) {
    await close();
    throw error;
  }
}
