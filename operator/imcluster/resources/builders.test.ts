// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { ENDPOINT_PATTERN } from "#lib/endpoint.ts";
import type { Container, KubeObject, PodSpec, Secret } from "../../kube/types.ts";
import { ANNOTATION, FINALIZER, LABEL } from "../names.ts";
import { sampleCluster, sampleContext, sampleSecrets } from "../testing/sample.ts";
import { postgresClaim, postgresStatefulSet, redisStatefulSet } from "./datastores.ts";
import { entryPod, entryPodLike, entryRevision } from "./entry-pod.ts";
import { extlogicDeployment } from "./extlogic.ts";
import { logicDeployment } from "./logic.ts";
import { migrateJob, migrationHash } from "./migrate-job.ts";
import { disruptionBudget, serviceAccount } from "./policy.ts";
import { redisUserArgs } from "./redis-users.ts";
import { datastoreService, entryService, logicService } from "./services.ts";

const cluster = sampleCluster();
const secrets = sampleSecrets(cluster);
const context = sampleContext(cluster, secrets);

const podSpecs: Record<string, PodSpec> = {
  entry: entryPod(context, "abcde").spec,
  logic: logicDeployment(context).spec.template.spec,
  extlogic: extlogicDeployment(context).spec.template.spec,
  migrate: migrateJob(context).spec.template.spec,
  postgres: postgresStatefulSet(context).spec.template.spec,
  redis: redisStatefulSet(context).spec.template.spec,
};

const onlyContainer = (spec: PodSpec): Container => {
  assert.equal(spec.containers.length, 1);
  return spec.containers[0] as Container;
};
const envOf = (spec: PodSpec) => new Map(onlyContainer(spec).env?.map(({ name, value }) => [name, value]));

type Fields = Record<string, unknown>;

function podViolations(spec: PodSpec): string[] {
  const security = (spec.securityContext ?? {}) as Fields;
  const checks: [boolean, string][] = [
    [security.runAsNonRoot === true && security.runAsUser !== 0, "root"],
    [(security.seccompProfile as Fields | undefined)?.type === "RuntimeDefault", "seccomp"],
    [spec.automountServiceAccountToken === false, "token"],
    [!(spec.hostNetwork || spec.hostPID || spec.hostIPC), "host namespaces"],
    [((spec.volumes ?? []) as Fields[]).every((volume) => !volume.hostPath), "hostPath"],
  ];
  return checks.flatMap(([holds, name]) => (holds ? [] : [name]));
}

function containerViolations(container: Container): string[] {
  const security = (container.securityContext ?? {}) as Fields;
  const { drop = [], add = [] } = (security.capabilities ?? {}) as { drop?: string[]; add?: string[] };
  const isPlain = (port: { containerPort: number }) => port.containerPort >= 1024 && !("hostPort" in port);
  const checks: [boolean, string][] = [
    [security.allowPrivilegeEscalation === false, "escalation"],
    [security.readOnlyRootFilesystem === true, "writable root"],
    [!security.privileged, "privileged"],
    [drop.includes("ALL") && add.length === 0, "capabilities"],
    [(container.ports ?? []).every(isPlain), "port"],
  ];
  return checks.flatMap(([holds, name]) => (holds ? [] : [name]));
}

/** The controls of the "restricted" Pod Security Standard, and our own. Empty when all hold. */
const violations = (spec: PodSpec): string[] => [
  ...podViolations(spec),
  ...spec.containers.flatMap(containerViolations),
];

describe("pods", () => {
  for (const [name, spec] of Object.entries(podSpecs)) {
    it(`of ${name} meet the restricted standard`, () => assert.deepEqual(violations(spec), []));
  }

  it("that are weakened in any one way are noticed by this test", () => {
    const weaken: ((spec: PodSpec) => void)[] = [
      (spec) => Object.assign(spec.securityContext as object, { runAsNonRoot: false }),
      (spec) => Object.assign(spec.securityContext as object, { seccompProfile: { type: "Unconfined" } }),
      (spec) => Object.assign(spec, { automountServiceAccountToken: true }),
      (spec) => Object.assign(spec, { hostNetwork: true }),
      (spec) => Object.assign(onlyContainer(spec).securityContext as object, { allowPrivilegeEscalation: true }),
      (spec) => Object.assign(onlyContainer(spec).securityContext as object, { readOnlyRootFilesystem: false }),
      (spec) => Object.assign(onlyContainer(spec).securityContext as object, { capabilities: { add: ["NET_RAW"] } }),
      (spec) => spec.volumes?.push({ name: "h", hostPath: { path: "/" } }),
    ];
    for (const change of weaken) {
      const spec = structuredClone(entryPod(context, "abcde").spec);
      change(spec);
      assert.equal(violations(spec).length > 0, true, change.toString());
    }
  });

  it("mount a /tmp, and every volume that they have", () => {
    for (const spec of Object.values(podSpecs)) {
      const mounts = onlyContainer(spec).volumeMounts as { name: string; mountPath: string }[];
      assert.ok(mounts.some(({ mountPath }) => mountPath === "/tmp"));
      assert.deepEqual(
        mounts.map(({ name }) => name).sort(),
        (spec.volumes as { name: string }[]).map(({ name }) => name).sort(),
      );
    }
  });

  it("of our image end at once also while they start: the kernel drops a SIGTERM for process 1 that has no handler yet", () => {
    for (const [name, spec] of Object.entries(podSpecs)) {
      const isOurs = onlyContainer(spec).image === context.image;
      assert.equal(spec.shareProcessNamespace, isOurs ? true : undefined, name);
    }
  });

  it("never have a secret in their environment", () => {
    const values = [...secrets.values()].flatMap(({ data }) => Object.values(data ?? {}));
    const plain = values.map((value) => Buffer.from(value, "base64").toString());
    const texts = Object.values(podSpecs).map((spec) => JSON.stringify(spec));
    for (const value of plain.filter((one) => one.length > 8)) {
      for (const specText of texts) assert.ok(!specText.includes(JSON.stringify(value).slice(1, -1)));
    }
  });
});

describe("the entry pod", () => {
  const pod = entryPod(context, "abcde");
  const env = envOf(pod.spec);

  it("has name, labels, finalizer and owner of the contract", () => {
    assert.equal(pod.metadata.name, "demo-entry-abcde");
    assert.deepEqual(pod.metadata.finalizers, [FINALIZER.entry]);
    assert.equal(pod.metadata.labels?.[LABEL.cluster], "demo");
    assert.equal(pod.metadata.labels?.[LABEL.revision], entryRevision(context));
    assert.equal(pod.metadata.ownerReferences?.[0]?.uid, "cluster-uid");
  });

  it("gets the spec's settings as environment", () => {
    assert.equal(env.get("IM_LOGIC_TARGETS"), "dns:demo-logic.shop.svc.cluster.local:7443");
    assert.equal(env.get("IM_MAX_CONNECTIONS"), "20000");
    assert.equal(env.get("IM_DRAIN_DEADLINE_MS"), "20000");
    assert.equal(env.get("IM_DEMO_DIR"), undefined);
    const origins = ["https://shop.example", "http://localhost:3000"];
    const withOrigins = entryPod(sampleContext(sampleCluster({ entry: { origins } })), "a");
    assert.equal(envOf(withOrigins.spec).get("IM_HTTP_ORIGINS"), origins.join(","));
    assert.equal(envOf(withOrigins.spec).has("IM_ENDPOINTS"), false);
    const endpoints = ["direct=im-1.example.com:8443*2", "balancer=im.example.com"];
    const withEndpoints = entryPod(sampleContext(sampleCluster({ entry: { endpoints } })), "a");
    assert.equal(envOf(withEndpoints.spec).get("IM_ENDPOINTS"), endpoints.join(","));
    const crd = readFileSync(new URL("../../../crds/imcluster.yaml", import.meta.url), "utf8");
    assert.ok(
      crd.includes(`self.matches('${ENDPOINT_PATTERN.replaceAll("\\", "\\\\")}')`),
      "what the CRD lets in, an entry takes",
    );
    assert.equal(env.get("IM_HTTP_ORIGINS"), undefined);
    const limited = {
      limits: { framesPerSecond: 7, peerAddresses: true },
      proxyProtocol: { trustedCIDRs: ["10.0.0.0/8", "fd00::/8"] },
    };
    const limitedEnv = envOf(entryPod(sampleContext(sampleCluster({ entry: limited })), "a").spec);
    assert.equal(limitedEnv.get("IM_PROXY_CIDRS"), "10.0.0.0/8,fd00::/8");
    assert.deepEqual(
      [limitedEnv.get("IM_FRAMES_PER_SECOND"), limitedEnv.get("IM_LIMIT_PEER_ADDRESSES")],
      ["7", "true"],
    );
    assert.deepEqual([env.get("IM_PROXY_CIDRS"), env.get("IM_ADDRESS_CONNECTIONS")], [undefined, "2000"]);
    assert.ok(envOf(entryPod(sampleContext(sampleCluster({ entry: { demo: true } })), "a").spec).get("IM_DEMO_DIR"));
  });

  it("shows its container what is noted on the pod about its drain", () => {
    const volumes = pod.spec.volumes as { name: string; downwardAPI?: { items: unknown[] } }[];
    const fieldPath = `metadata.annotations['${ANNOTATION.drain}']`;
    assert.deepEqual(volumes.find(({ name }) => name === "podinfo")?.downwardAPI?.items, [
      { path: "drain", fieldRef: { fieldPath } },
    ]);
    const mounts = onlyContainer(pod.spec).volumeMounts as { name: string; mountPath: string }[];
    assert.equal(mounts.find(({ name }) => name === "podinfo")?.mountPath, env.get("IM_PODINFO_DIR"));
  });

  it("is given nothing that the entry does not read", () => {
    const read = readFileSync(new URL("../../../gateway/config.ts", import.meta.url), "utf8");
    for (const name of env.keys()) assert.ok(read.includes(`${name}: env`) || read.includes(`${name}: z`), name);
  });

  it("has more grace than its drain takes", () => {
    assert.equal(pod.spec.terminationGracePeriodSeconds, 30);
    const slow = sampleContext(sampleCluster({ entry: { drain: { deadline: "1h" } } }));
    assert.equal(entryPod(slow, "a").spec.terminationGracePeriodSeconds, 3610);
  });

  it("changes its revision with what needs a new pod, and with nothing else", () => {
    const revisionOf = (spec: object, from = secrets) => entryRevision(sampleContext(sampleCluster(spec), from));
    const base = revisionOf({});
    const same = [
      { entry: { replicas: 9 } },
      { logic: { replicas: 9 } },
      { entry: { service: { type: "NodePort" } } },
      { paused: true },
    ];
    for (const spec of same) assert.equal(revisionOf(spec), base, JSON.stringify(spec));
    const other = [
      { image: "x:1" },
      { version: "9.9.9" },
      { entry: { maxConnectionsPerPod: 100 } },
      { entry: { demo: true } },
      { entry: { limits: { bytesPerSecond: 1 } } },
      { entry: { proxyProtocol: { trustedCIDRs: ["10.0.0.0/8"] } } },
      { entry: { drain: { window: "1s" } } },
      { entry: { podTemplate: { labels: { a: "b" } } } },
      { tls: { secretName: "own" } },
    ];
    for (const spec of other) assert.notEqual(revisionOf(spec), base, JSON.stringify(spec));
    assert.notEqual(revisionOf({}, sampleSecrets(cluster)), base, "another internal certificate");
  });
});

describe("pods of a node that is lost", () => {
  type Spread = {
    topologyKey: string;
    whenUnsatisfiable: string;
    labelSelector: { matchLabels: Record<string, string> };
    matchLabelKeys?: string[];
  };
  const spreadOf = (name: string): Spread | undefined =>
    (podSpecs[name]?.topologySpreadConstraints as Spread[] | undefined)?.[0];

  for (const name of ["entry", "logic", "extlogic"])
    it(`are given up after 30 s: ${name}`, () => {
      const tolerations = (podSpecs[name]?.tolerations ?? []) as { key?: string; tolerationSeconds?: number }[];
      const lost = tolerations.filter(({ tolerationSeconds }) => tolerationSeconds === 30).map(({ key }) => key);
      assert.deepEqual(lost, ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]);
    });

  it("are not all of a Deployment: each version of it is spread by itself", () => {
    for (const name of ["logic", "extlogic"]) {
      assert.equal(spreadOf(name)?.topologyKey, "kubernetes.io/hostname");
      assert.deepEqual(spreadOf(name)?.matchLabelKeys, ["pod-template-hash"]);
    }
    assert.equal("matchLabelKeys" in (spreadOf("entry") ?? {}), false, "a Pod has no such label");
  });

  it("are not all of a revision: entries of each are spread by themselves, and run somewhere in any case", () => {
    const [next] = (entryPod(sampleContext(sampleCluster({ version: "0.2.0" }), secrets), "b").spec
      .topologySpreadConstraints ?? []) as Spread[];
    const spread = spreadOf("entry");
    assert.deepEqual([spread?.topologyKey, spread?.whenUnsatisfiable], ["kubernetes.io/hostname", "ScheduleAnyway"]);
    const { labels = {} } = entryPod(context, "a").metadata;
    const selector = spread?.labelSelector.matchLabels ?? {};
    assert.equal(selector[LABEL.revision], entryRevision(context));
    for (const [key, value] of Object.entries(selector)) assert.equal(labels[key], value, "it selects the pod itself");
    assert.notEqual(next?.labelSelector.matchLabels[LABEL.revision], selector[LABEL.revision]);
  });
});

describe("an entry pod made like another", () => {
  it("is of the same revision and spec, whatever the spec of the cluster says by now", () => {
    const old = entryPod(context, "abcde");
    const server = {
      ...old,
      metadata: {
        ...old.metadata,
        annotations: {
          ...old.metadata.annotations,
          ...{ "example.com/a": "1", "cni.projectcalico.org/podIP": "10.0.0.1/32", [ANNOTATION.drain]: "{}" },
        },
      },
      spec: { ...old.spec, nodeName: "n1", priority: 0, ephemeralContainers: [] } as PodSpec,
    };
    const changed = sampleContext(sampleCluster({ version: "0.2.0" }), secrets);
    const made = entryPodLike(changed, "fghij", server);
    assert.deepEqual(made.spec, old.spec);
    assert.equal(made.metadata.labels?.[LABEL.revision], entryRevision(context));
    assert.equal(made.metadata.name, "demo-entry-fghij");
    assert.deepEqual(made.metadata.finalizers, [FINALIZER.entry]);
    assert.deepEqual(made.metadata.ownerReferences, old.metadata.ownerReferences);
    assert.deepEqual(Object.keys(made.metadata.annotations ?? {}).sort(), ["example.com/a", ANNOTATION.appliedHash]);
  });
});

describe("retention", () => {
  it("reaches extlogic, by default and as asked for", () => {
    const of = (spec: object): (string | undefined)[] => {
      const env = envOf(extlogicDeployment(sampleContext(sampleCluster(spec))).spec.template.spec);
      return ["RETENTION", "IDEMPOTENCY", "BROADCAST"].map((what) => env.get(`IM_${what}_DAYS`));
    };
    assert.deepEqual(of({}), ["90", "14", "90"]);
    assert.deepEqual(of({ retention: { days: 7, resendDays: 7, broadcastDays: 1 } }), ["7", "7", "1"]);
  });
});

describe("delivery", () => {
  const envsOf = (spec: object) => {
    const context = sampleContext(sampleCluster(spec));
    return [logicDeployment(context), extlogicDeployment(context)].map((made) => envOf(made.spec.template.spec));
  };

  it("the wait for an acknowledgement is the same in logic and extlogic, by default and as asked for", () => {
    const of = (spec: object) => envsOf(spec).map((env) => env.get("IM_ACK_TIMEOUT_MS"));
    assert.deepEqual(of({}), ["5000", "5000"]);
    assert.deepEqual(of({ delivery: { ackTimeout: "7500ms" } }), ["7500", "7500"]);
  });

  it("logic shows nobody's presence to clients unless that is asked for", () => {
    const of = (spec: object) => envsOf(spec).map((env) => env.get("IM_PRESENCE_VISIBLE_TO"));
    assert.deepEqual(of({}), ["nobody", undefined]);
    assert.deepEqual(of({ presence: { visibleTo: "peers" } }), ["peers", undefined]);
  });

  it("logic tells clients both intervals", () => {
    const of = (spec: object) =>
      ["IM_PING_INTERVAL_MS", "IM_BACKGROUND_PING_INTERVAL_MS"].map((name) => envsOf(spec)[0]?.get(name));
    assert.deepEqual(of({}), ["30000", "120000"]);
    assert.deepEqual(of({ entry: { pingInterval: "20s", backgroundPingInterval: "4m" } }), ["20000", "240000"]);
  });
});

describe("images", () => {
  const imageOf = (spec: object) => sampleContext(sampleCluster(spec)).image;
  it("follow spec.image, else spec.version, else the operator", () => {
    assert.equal(imageOf({}), "registry.example/imcluster:0.1.0");
    assert.equal(imageOf({ version: "1.2.3" }), "registry.example/imcluster:1.2.3");
    assert.equal(imageOf({ version: "1.2.3", image: "own:5" }), "own:5");
  });
});

describe("Services", () => {
  it("take clients on 443 and 80, and are headless for gRPC", () => {
    const { spec } = entryService(context);
    assert.deepEqual(
      spec.ports?.map(({ port, targetPort }) => [port, targetPort]),
      [
        [443, "tls"],
        [80, "http"],
      ],
    );
    assert.equal(spec.type, "LoadBalancer");
    assert.deepEqual(spec.selector, { [LABEL.cluster]: "demo", [LABEL.component]: "entry" });
    assert.equal(logicService(context).spec.clusterIP, "None");
    assert.equal(datastoreService(context, "redis").metadata.name, "demo-redis");
  });

  it("name a traffic policy only where one is allowed", () => {
    const policyOf = (type: string) =>
      entryService(sampleContext(sampleCluster({ entry: { service: { type } } }))).spec.externalTrafficPolicy;
    assert.equal(policyOf("NodePort"), "Cluster");
    assert.equal(policyOf("ClusterIP"), undefined);
  });
});

describe("embedded datastores", () => {
  it("keep PostgreSQL's data on a volume where there is one", () => {
    const withVolume = sampleContext(cluster, secrets, { kind: "volume", storageClassName: "fast" });
    const claim = postgresClaim(withVolume);
    assert.equal(claim.spec.storageClassName, "fast");
    assert.deepEqual(claim.spec.resources, { requests: { storage: "5Gi" } });
    assert.match(JSON.stringify(postgresStatefulSet(withVolume)), /"claimName":"demo-postgres"/);
    assert.match(JSON.stringify(postgresStatefulSet(context)), /"name":"data","emptyDir"/);
    assert.throws(() => postgresClaim(context));
  });

  it("run Redis with a password, without persistence and without eviction", () => {
    const args = onlyContainer(redisStatefulSet(context).spec.template.spec).args ?? [];
    assert.equal(
      args.join(" "),
      "--requirepass $(REDIS_PASSWORD) --save  --appendonly no --maxmemory 134217728 --maxmemory-policy noeviction".concat(
        ...(["logic", "extlogic"] as const).map((role) => ` ${redisUserArgs(role).join(" ")}`),
      ),
    );
  });

  /** Which keys of which Secrets of stores a pod has, as files or in its environment. */
  function storeSecretsOf(spec: PodSpec): string[] {
    const volumes = (spec.volumes ?? []) as { secret?: { secretName: string; items?: { key: string }[] } }[];
    const mounted = volumes.flatMap(({ secret }) =>
      secret ? (secret.items ?? [{ key: "*" }]).map(({ key }) => `${secret.secretName}.${key}`) : [],
    );
    const inEnv = (onlyContainer(spec).env ?? []).flatMap(({ valueFrom }) => {
      const { secretKeyRef: ref } = (valueFrom ?? {}) as { secretKeyRef?: { name: string; key: string } };
      return ref ? [`${ref.name}.${ref.key}`] : [];
    });
    return [...mounted, ...inEnv].filter((name) => /^demo-(postgres|redis)/.test(name)).sort();
  }

  it("have a user for each component, whose pods have its Secret and no other", () => {
    const held = Object.entries(podSpecs).map(([name, spec]) => [name, storeSecretsOf(spec)]);
    assert.deepEqual(Object.fromEntries(held), {
      entry: [],
      logic: ["demo-postgres-logic.url", "demo-redis-logic.url"],
      extlogic: ["demo-postgres-extlogic.url", "demo-redis-extlogic.url"],
      // It makes the users of PostgreSQL.
      migrate: ["demo-postgres-extlogic.url", "demo-postgres-logic.url", "demo-postgres.url"],
      postgres: ["demo-postgres.database", "demo-postgres.password", "demo-postgres.username"],
      redis: ["demo-redis-extlogic.passwordHash", "demo-redis-logic.passwordHash", "demo-redis.password"],
    });
  });

  it("roll who has a Secret when it changes, and nobody else", () => {
    const hashes = (changed: string) => {
      const other = new Map(secrets).set(changed, sampleSecrets(cluster).get(changed) as Secret);
      const next = sampleContext(cluster, other);
      const build = { logicDeployment, extlogicDeployment, postgresStatefulSet, redisStatefulSet };
      const rolled = Object.entries(build).filter(
        ([, make]) => JSON.stringify(make(next)) !== JSON.stringify(make(context)),
      );
      const isMigrated = migrationHash(next) !== migrationHash(context);
      return [...rolled.map(([name]) => name), ...(isMigrated ? ["migrateJob"] : [])];
    };
    assert.deepEqual(hashes("demo-postgres-logic"), ["logicDeployment", "migrateJob"]);
    assert.deepEqual(hashes("demo-postgres-extlogic"), ["extlogicDeployment", "migrateJob"]);
    assert.deepEqual(hashes("demo-redis-logic"), ["logicDeployment", "redisStatefulSet"]);
    assert.deepEqual(hashes("demo-redis-extlogic"), ["extlogicDeployment", "redisStatefulSet"]);
    assert.deepEqual(hashes("demo-postgres"), ["postgresStatefulSet", "migrateJob"]);
    assert.deepEqual(hashes("demo-redis"), ["redisStatefulSet"]);
  });
});

describe("the migration", () => {
  it("is another Job for another version, image or database, and for nothing else", () => {
    const of = (spec: object, from = secrets) => migrationHash(sampleContext(sampleCluster(spec), from));
    assert.equal(of({ entry: { replicas: 9 } }), of({}));
    assert.notEqual(of({ version: "0.2.0" }), of({}));
    assert.notEqual(of({ image: "x:1" }), of({}));
    assert.notEqual(of({}, sampleSecrets(cluster)), of({}));
  });

  it("may have a URL of its own, beside that of the runtime, and is alone with it", () => {
    const own = sampleCluster({ postgres: { urlSecretRef: { name: "db", key: "runtime" } } });
    const ownContext = sampleContext(own, sampleSecrets(own));
    const specOf = (from: typeof context): PodSpec => migrateJob(from).spec.template.spec;
    const secretsOf = (spec: PodSpec) =>
      ((spec.volumes ?? []) as { secret?: object }[]).flatMap(({ secret }) => secret ?? []);
    const runtime = { secretName: "db", defaultMode: 0o440, items: [{ key: "runtime", path: "url" }] };
    assert.deepEqual(secretsOf(specOf(ownContext)), [
      runtime,
      // Not there: the runtime's URL is used.
      { secretName: "db", defaultMode: 0o440, items: [{ key: "migrationUrl", path: "url" }], optional: true },
    ]);
    assert.equal(envOf(specOf(ownContext)).get("IM_MIGRATE_POSTGRES_URL_FILE"), "/etc/imcluster/migration/url");
    assert.doesNotMatch(JSON.stringify([logicDeployment(ownContext), extlogicDeployment(ownContext)]), /igrat/);
    assert.equal(envOf(specOf(ownContext)).has("IM_MIGRATE_MAKES_ROLES"), false, "somebody else's database");
  });

  it("makes the users of the embedded database, as the one that owns the tables", () => {
    const env = envOf(migrateJob(context).spec.template.spec);
    assert.deepEqual(
      [...env].filter(([name]) => /POSTGRES|MIGRATE/.test(name)),
      [
        ["IM_POSTGRES_URL_FILE", "/etc/imcluster/postgres/url"],
        ["IM_MIGRATE_POSTGRES_URL_FILE", "/etc/imcluster/migration/url"],
        ["IM_EXTLOGIC_POSTGRES_URL_FILE", "/etc/imcluster/extlogic-postgres/url"],
        ["IM_MIGRATE_MAKES_ROLES", "true"],
      ],
    );
  });
});

describe("every object", () => {
  const all: KubeObject[] = [
    ...[entryService(context), logicService(context), datastoreService(context, "postgres")],
    ...[serviceAccount(context, "entry"), disruptionBudget(context, "logic"), migrateJob(context)],
    ...[logicDeployment(context), extlogicDeployment(context), postgresStatefulSet(context), entryPod(context, "a")],
  ];

  it("carries owner, labels and the hash of what was applied", () => {
    for (const { metadata, kind } of all) {
      assert.equal(metadata.namespace, "shop", kind);
      assert.equal(metadata.labels?.[LABEL.managedBy], "im-operator", kind);
      assert.equal(metadata.labels?.[LABEL.instance], "demo", kind);
      assert.ok(metadata.annotations?.[ANNOTATION.appliedHash], kind);
      assert.equal(metadata.ownerReferences?.[0]?.controller, true, kind);
    }
  });

  it("is the same each time it is built", () => {
    assert.deepEqual(logicDeployment(sampleContext(sampleCluster(), secrets)), logicDeployment(context));
  });

  it("has names of at most 63 characters for the longest name allowed", () => {
    const long = sampleContext(sampleCluster({}, "a".repeat(40)), secrets);
    for (const name of [entryPod(long, "abcde"), migrateJob(long), extlogicDeployment(long)].map(
      ({ metadata }) => metadata.name,
    )) {
      assert.ok(name.length <= 63 - "-abcde".length, name);
    }
  });
});

describe("a Redis of its own for push intents", () => {
  const volumesOf = (spec: PodSpec) => (spec.volumes ?? []) as { name: string; secret?: object }[];
  const ref = (name: string) => ({ name, key: "redis-url" });
  const own = sampleCluster({ redis: { urlSecretRef: ref("routes"), queueUrlSecretRef: ref("queue") } });
  const ownContext = sampleContext(own, sampleSecrets(own));

  for (const [name, build] of [
    ["logic", logicDeployment],
    ["extlogic", extlogicDeployment],
  ] as const)
    it(`is mounted and named to ${name}, and to nobody without it`, () => {
      const { spec } = build(ownContext).spec.template;
      assert.equal(envOf(spec).get("IM_QUEUE_REDIS_URL_FILE"), "/etc/imcluster/queue-redis/url");
      const [volume] = volumesOf(spec).filter(({ name: volumeName }) => volumeName === "queue-redis");
      assert.deepEqual(volume?.secret, {
        secretName: "queue",
        defaultMode: 0o440,
        items: [{ key: "redis-url", path: "url" }],
      });
      const plain = build(context).spec.template.spec;
      assert.equal(envOf(plain).has("IM_QUEUE_REDIS_URL_FILE"), false);
      assert.ok(!volumesOf(plain).some(({ name: volumeName }) => volumeName === "queue-redis"));
    });
});
