// SPDX-License-Identifier: Apache-2.0
// PostgreSQL and Redis of an ImCluster without stores of its own, as real processes: what the operator renders, without Kubernetes.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { redisStatefulSet } from "../../operator/imcluster/resources/datastores.ts";
import { extlogicDeployment } from "../../operator/imcluster/resources/extlogic.ts";
import { logicDeployment } from "../../operator/imcluster/resources/logic.ts";
import { migrateJob } from "../../operator/imcluster/resources/migrate-job.ts";
import { secretValue } from "../../operator/imcluster/secrets.ts";
import { sampleCluster, sampleContext, sampleSecrets } from "../../operator/imcluster/testing/sample.ts";
import type { Container, PodSpec, Secret } from "../../operator/kube/types.ts";
import { freePort } from "../harness/ports.ts";
import { type PostgresServer, startPostgres } from "../harness/postgres.ts";
import { RedisServer } from "../harness/redis.ts";
import { askForPasswords } from "../harness/runtime-role.ts";

interface SecretVolume {
  name: string;
  secret?: { secretName: string; items?: { key: string; path: string }[] };
}

interface SecretEnv {
  secretKeyRef?: { name: string; key: string };
}

/** Whoever has URLs of stores. */
export type StoreUser = "logic" | "extlogic" | "migrate";

/** The servers, and what a kubelet would give each pod of them. */
export class EmbeddedStores {
  readonly postgres: PostgresServer;
  /** As an operator before these users started it; {@link restartRedis} starts it as this one does. */
  redis: RedisServer;
  readonly #secrets: ReadonlyMap<string, Secret>;
  readonly #specs: Record<StoreUser | "redis", PodSpec>;
  readonly #dir: string;

  private constructor(postgres: PostgresServer, redisPort: number, dir: string) {
    const cluster = sampleCluster();
    this.#secrets = sampleSecrets(cluster);
    const context = sampleContext(cluster, this.#secrets);
    this.#specs = {
      logic: logicDeployment(context).spec.template.spec,
      extlogic: extlogicDeployment(context).spec.template.spec,
      migrate: migrateJob(context).spec.template.spec,
      redis: redisStatefulSet(context).spec.template.spec,
    };
    this.postgres = postgres;
    this.redis = new RedisServer(redisPort, { args: ["--requirepass", this.secret("demo-redis", "password")] });
    this.#dir = dir;
  }

  /** Both servers with one user each, who may do everything. */
  static async start(dir: string): Promise<EmbeddedStores> {
    const postgres = await startPostgres();
    try {
      const stores = new EmbeddedStores(postgres, await freePort(), dir);
      await postgres.query(`CREATE ROLE im SUPERUSER LOGIN PASSWORD '${stores.secret("demo-postgres", "password")}'`);
      await postgres.query("CREATE DATABASE im OWNER im");
      await askForPasswords(postgres);
      await stores.redis.start();
      return stores;
    } catch (error) {
      await postgres.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await Promise.all([this.redis.stop(), this.postgres.stop()]);
  }

  secret(name: string, key: string): string {
    const value = secretValue(this.#secrets, name, key);
    if (value === undefined) throw new Error(`no Secret ${name} with a key ${key}`);
    return value;
  }

  /** What the one user of before has. */
  get oneUser(): { postgres: string; redis: string } {
    return {
      postgres: this.#reachable(this.secret("demo-postgres", "url")),
      redis: this.#reachable(this.secret("demo-redis", "url")),
    };
  }

  /** Starts Redis with the arguments of its pod, empty, where it was. */
  async restartRedis(): Promise<void> {
    await this.redis.stop();
    const { args = [], env = [] } = containerOf(this.#specs.redis);
    const values = new Map(env.map(({ name, valueFrom }) => [name, this.#fromSecret(valueFrom as SecretEnv)]));
    const filled = args.map((arg) =>
      arg.replaceAll(/\$\((\w+)\)/g, (whole, name: string) => values.get(name) ?? whole),
    );
    this.redis = new RedisServer(this.redis.port, { args: filled });
    await this.redis.start();
  }

  #fromSecret(from: SecretEnv | undefined): string {
    const { name = "", key = "" } = from?.secretKeyRef ?? {};
    return this.secret(name, key);
  }

  /** Variables about stores of a pod; files that they name are written below the folder. */
  envOf(user: StoreUser): Record<string, string> {
    const spec = this.#specs[user];
    const { env = [], volumeMounts = [] } = containerOf(spec);
    const mounts = volumeMounts as { name: string; mountPath: string }[];
    const found = env.flatMap(({ name, value = "" }): [string, string][] => {
      if (!/POSTGRES|REDIS|MIGRATE/.test(name)) return [];
      const mount = mounts.find(({ mountPath }) => value.startsWith(`${mountPath}/`));
      return [[name, mount ? this.#writeFile(user, spec, mount.name, value.slice(mount.mountPath.length + 1)) : value]];
    });
    return Object.fromEntries(found);
  }

  #writeFile(user: StoreUser, spec: PodSpec, volumeName: string, file: string): string {
    const volume = ((spec.volumes ?? []) as SecretVolume[]).find(({ name }) => name === volumeName);
    const item = volume?.secret?.items?.find(({ path }) => path === file);
    if (!volume?.secret || !item) throw new Error(`${user} mounts no ${volumeName}/${file}`);
    const folder = join(this.#dir, user, volumeName);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, file), this.#reachable(this.secret(volume.secret.secretName, item.key)));
    return join(folder, file);
  }

  /** Names of Services mean nothing here. */
  #reachable(text: string): string {
    const url = new URL(text);
    [url.hostname, url.port] = ["127.0.0.1", String(url.protocol === "redis:" ? this.redis.port : this.postgres.port)];
    return url.href;
  }
}

function containerOf({ containers }: PodSpec): Container {
  const [container] = containers;
  if (!container) throw new Error("a pod without a container");
  return container;
}
