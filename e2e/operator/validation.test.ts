// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { parse } from "yaml";
import { IM_CLUSTER } from "../../operator/api/resource.ts";
import type { ImCluster } from "../../operator/api/v1alpha1.ts";
import { refusal } from "./support/refusal.ts";
import { ref } from "./support/sample-ref.ts";
import { type ImApiServer, imCluster, startImApiServer } from "./support/shared-api-server.ts";
import { fullPush } from "./support/wrong-push.ts";
import { WRONG } from "./support/wrong-specs.ts";

let server: ImApiServer;
let namespace: string;
before(async () => {
  server = await startImApiServer();
  namespace = await server.makeNamespace();
});
after(() => server?.stop());

describe("the API server refuses", () => {
  for (const { what, spec = {}, name = "demo", field, remedy } of WRONG) {
    it(what, async () => {
      const message = await refusal(server.client.create(IM_CLUSTER, imCluster(namespace, spec, name)));
      assert.ok(message.includes(field), `names ${field}: ${message}`);
      assert.match(message, remedy);
    });
  }
});

describe("the API server refuses to change", () => {
  const change = async (name: string, before: unknown, after: unknown): Promise<string> => {
    await server.client.create(IM_CLUSTER, imCluster(namespace, before, name));
    return refusal(server.client.patchMerge(IM_CLUSTER, namespace, name, { spec: after }));
  };

  it("an embedded PostgreSQL into an external one, and back", async () => {
    assert.match(
      await change("to-external", {}, { postgres: { urlSecretRef: ref } }),
      /spec\.postgres cannot change between/,
    );
    const back = await change("to-embedded", { postgres: { urlSecretRef: ref } }, { postgres: { urlSecretRef: null } });
    assert.match(back, /make a new ImCluster and move the data/);
  });

  it("size and class of the embedded PostgreSQL", async () => {
    const size = await change("size", {}, { postgres: { embedded: { storageSize: "6Gi" } } });
    assert.match(size, /storageSize cannot change after creation/);
    const embedded = { storageClassName: "fast" };
    const storageClass = await change(
      "class",
      { postgres: { embedded } },
      { postgres: { embedded: { storageClassName: "slow" } } },
    );
    assert.match(storageClass, /storageClassName cannot change after creation/);
  });

  it("the class of a load balancer", async () => {
    const one = { entry: { service: { loadBalancerClass: "a/b" } } };
    assert.match(
      await change("lb-class", one, { entry: { service: { loadBalancerClass: "a/c" } } }),
      /loadBalancerClass cannot change/,
    );
  });
});

describe("the API server accepts", () => {
  const examples = new URL("../../examples/imcluster/", import.meta.url);
  for (const file of readdirSync(examples).filter((name) => name.endsWith(".yaml"))) {
    it(`examples/imcluster/${file}`, async () => {
      const manifest = parse(readFileSync(new URL(file, examples), "utf8")) as ImCluster;
      const name = file.replace(".yaml", "");
      const made = await server.client.create(IM_CLUSTER, {
        ...manifest,
        metadata: { ...manifest.metadata, name, namespace },
      });
      assert.notEqual(made, "exists");
    });
  }

  it("a full spec", async () => {
    const podTemplate = {
      labels: { team: "im" },
      annotations: { "example.com/a": "b" },
      nodeSelector: { disk: "ssd" },
      tolerations: [{ key: "im", operator: "Exists", effect: "NoSchedule" }],
    };
    const resources = { requests: { cpu: "0.5", memory: "512Mi" }, limits: { cpu: 2 } };
    const made = await server.client.create(
      IM_CLUSTER,
      imCluster(
        namespace,
        {
          version: "1.2.3-rc.1+build.5",
          image: `registry.example:5000/im/cluster:1.2.3@sha256:${"a".repeat(64)}`,
          imagePullSecrets: ["registry"],
          entry: {
            ...{
              replicas: 200,
              maxConnectionsPerPod: 500_000,
              endpoints: ["direct=IM-1.example.com:65535*1000", "list=[2001:db8::1]", "balancer=192.0.2.1"],
              demo: true,
              update: {
                ...{ strategy: "Batched", batch: "100%" },
                canary: { entries: 20, soak: "24h", abortOn: { ackP99IncreasePercent: 1, reconnectSuccessPercent: 0 } },
                approval: { mode: "Manual", manualAboveSessions: 500_000 },
                windows: [{ cron: "0 2 * * 1-5", duration: "168h", timezone: "Europe/Berlin" }],
              },
              pingInterval: "1m30s",
              backgroundPingInterval: "5m",
              resources,
              podTemplate,
            },
            service: {
              type: "LoadBalancer",
              externalTrafficPolicy: "Local",
              loadBalancerClass: "example.com/nlb",
              annotations: { "service.beta.kubernetes.io/aws-load-balancer-type": "nlb" },
            },
            drain: {
              ...{ window: "0s", deadline: "1h", onDeadline: "Hold", lbDetach: "10m" },
              reconnectBudget: { maxPerSecond: 1, minPerSecond: 1, targets: { loginP99: "10ms" } },
            },
          },
          logic: { replicas: 1, resources, podTemplate },
          delivery: { ackTimeout: "15s" },
          retention: { days: 7, resendDays: 7 },
          extlogic: {
            replicas: 0,
            webhook: { url: "http://hooks.shop.svc:8080/push", secretRef: { name: "hook", key: "k" } },
            push: fullPush,
          },
          postgres: { urlSecretRef: ref },
          redis: { urlSecretRef: { name: "r", key: "url" } },
          tls: { secretName: "shop-tls" },
          auth: {
            ...{ issuer: "https://login.example", audience: "im", algorithms: ["EdDSA", "ES256"] },
            jwksSecretRef: { name: "jwks", key: "jwks.json" },
          },
          sessions: { policy: "n-per-slot", perSlot: 2, loginsPerMinute: 0 },
          presence: { visibleTo: "peers" },
          networkPolicy: {
            clientsFrom: [{ ipBlock: { cidr: "0.0.0.0/0", except: ["10.0.0.0/8"] } }, { ipBlock: { cidr: "::/0" } }],
            metricsFrom: [
              { namespaceSelector: {}, podSelector: { matchLabels: { "app.kubernetes.io/name": "prom" } } },
            ],
            apiFrom: [],
            postgresTo: [{ namespaceSelector: { matchLabels: { team: "" } }, ports: [5432, 6432] }],
            redisTo: [{ podSelector: {} }],
            providersTo: [],
            dnsTo: [{ ipBlock: { cidr: "169.254.20.10/32" }, ports: [53, 5353] }],
            alsoTo: [{ ipBlock: { cidr: "fd00:1::/32", except: ["fd00:1:2::/48"] }, ports: [65_535] }],
          },
          chat: {
            ...{ recallWindow: "0s", editWindow: "720h", webhookAllowedNetworks: ["10.1.0.0/16", "fd00:1::/32"] },
            cards: {
              keysSecretRef: { name: "cards", key: "keys" },
              actions: { url: "http://buttons.shop.svc:8080/im", secretRef: { name: "buttons", key: "s" } },
            },
            policy: { configMapRef: { name: "rules", key: "policy.json" } },
            hooks: { secretRef: { name: "hooks", key: "hooks.json" } },
          },
          tracing: {
            ...{ endpoint: "https://otel.shop.example/in", ratio: "0.001", maxPerSecond: 1000 },
            headersSecretRef: { name: "otel", key: "headers" },
          },
        },
        "full",
      ),
    );
    assert.notEqual(made, "exists");
  });

  it("an ImCluster without any spec, and fills in the defaults", async () => {
    const { spec: _, ...bare } = imCluster(namespace, {}, "bare");
    const made = await server.client.create(IM_CLUSTER, bare as never);
    assert.ok(made !== "exists");
    assert.deepEqual(made.spec, {
      paused: false,
      hibernate: false,
      entry: {
        ...{
          replicas: 3,
          maxConnectionsPerPod: 20_000,
          logLevel: "info",
          demo: false,
          pingInterval: "30s",
          backgroundPingInterval: "2m",
        },
        service: { type: "LoadBalancer" },
        drain: {
          ...{ window: "5s", deadline: "20s", onDeadline: "Force", lbDetach: "2s" },
          reconnectBudget: {
            ...{ maxPerSecond: 2000, minPerSecond: 50 },
            targets: { loginP99: "1s", loginFailurePercent: 5 },
          },
        },
        update: { strategy: "BlueGreen", batch: "25%", approval: { mode: "Auto", manualAboveSessions: 0 } },
        limits: {
          peerAddresses: false,
          connectionsPerSecondPerAddress: 50,
          connectionsPerAddress: 2000,
          failedLoginsPerMinutePerAddress: 60,
          framesPerSecond: 500,
          bytesPerSecond: 2_097_152,
          messagesPerSecondPerUser: 200,
        },
      },
      logic: { replicas: 2, logLevel: "info" },
      extlogic: { replicas: 1, logLevel: "info" },
      delivery: { ackTimeout: "5s" },
      retention: { days: 90, resendDays: 14, broadcastDays: 90 },
      ...{ postgres: {}, redis: {}, tls: { minVersion: "TLSv1.3" }, auth: { issuer: "imcluster" } },
      sessions: { policy: "one-per-slot", loginsPerMinute: 15 },
      presence: { visibleTo: "nobody" },
      chat: {
        ...{ recallWindow: "2m", editWindow: "15m", maxGroupMembers: 200 },
        ...{ maxItemConversations: 1000, conversations: "PerPeer" },
      },
    });
  });
});
