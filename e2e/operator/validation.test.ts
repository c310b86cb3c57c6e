// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { parse } from "yaml";
import { IM_CLUSTER } from "../../operator/api/resource.ts";
import type { ImCluster } from "../../operator/api/v1alpha1.ts";
import { KubeError } from "../../operator/kube/kube-error.ts";
import { type ImApiServer, imCluster, startImApiServer } from "./support/shared-api-server.ts";

let server: ImApiServer;
let namespace: string;
before(async () => {
  server = await startImApiServer();
  namespace = await server.makeNamespace();
});
after(() => server?.stop());

interface Wrong {
  what: string;
  spec?: unknown;
  name?: string;
  /** The field as the API server names it. */
  field: string;
  /** What the message tells the person to do. */
  remedy: RegExp;
}

const entry = (fields: object) => ({ entry: fields });
const service = (fields: object) => entry({ service: fields });
const template = (fields: object) => entry({ podTemplate: fields });
const ref = { name: "db", key: "url" };
const fcm = { serviceAccountSecretRef: ref };
const fullPush = {
  apns: {
    ...{ keySecretRef: ref, keyId: "ABC123DEFG", teamId: "DEF123GHIJ", topic: "com.example.shop" },
    url: "http://apns.shop.svc:8080",
  },
  fcm: { ...fcm, url: "https://fcm.example.com" },
  webPush: { keySecretRef: ref, subject: "https://example.com", services: ["https://*.push.apple.com"] },
  wechat: {
    ...{ appId: "wx1", secretRef: ref, kind: "Subscribe", templateId: "t", data: { thing1: "hello" } },
    ...{ page: "pages/chat", url: "http://wechat.shop.svc" },
  },
  sms: {
    ...{ vendor: "Aliyun", secretRef: ref, url: "https://dysmsapi.aliyuncs.com", accessKeyId: "a", signName: "s" },
    ...{ template: "SMS_1", params: { a: "b" } },
  },
  policy: {
    steps: [
      { channel: "Webhook" },
      { channel: "Sms", delay: "1m30s", unreachedDelay: "0s" },
      { channel: "App", delay: "never" },
    ],
    timeZone: "America/Argentina/Buenos_Aires",
    quietHours: { start: "22:00", end: "08:00", channels: ["Sms", "WeChat"] },
    dailyCaps: { app: 1, wechat: 2, sms: 0, webhook: 4 },
    ...{ appMode: "Background", backgroundInterval: "20m", readBy: "Mobile", ttl: "168h" },
  },
};

const WRONG: readonly Wrong[] = [
  { what: "name of 41 characters", name: "a".repeat(41), field: "metadata.name", remedy: /choose a shorter one/ },
  { what: "name that starts with a digit", name: "1im", field: "metadata.name", remedy: /start with a letter/ },
  { what: "name with a dot", name: "im.demo", field: "metadata.name", remedy: /only a-z, 0-9 and '-'/ },
  {
    what: "a load balancer that is no range",
    spec: entry({ proxyProtocol: { trustedCIDRs: ["10.0.0.0"] } }),
    field: "spec.entry.proxyProtocol.trustedCIDRs",
    remedy: /10\.0\.0\.0\/8 or fd00::\/8/,
  },
  ...["im.example.com", "direct=im.example.com:65536", "list=im.example.com*0", "other=im.example.com"].map(
    (endpoint) => ({
      what: `the endpoint ${endpoint}`,
      spec: entry({ endpoints: [endpoint] }),
      field: "spec.entry.endpoints",
      remedy: /KIND=HOST\[:PORT\]\[\*WEIGHT\]/,
    }),
  ),
  {
    what: "a negative rate",
    spec: entry({ limits: { framesPerSecond: -1 } }),
    field: "spec.entry.limits.framesPerSecond",
    remedy: /between 0 and 1000000/,
  },
  {
    what: "version with v",
    spec: { version: "v1.2.3" },
    field: "spec.version",
    remedy: /semantic version such as 0\.1\.0/,
  },
  { what: "version of two numbers", spec: { version: "1.2" }, field: "spec.version", remedy: /semantic version/ },
  {
    what: "image latest",
    spec: { image: "r.io/im:latest" },
    field: "spec.image",
    remedy: /name a version tag or a digest/,
  },
  { what: "image without tag", spec: { image: "r.io/im" }, field: "spec.image", remedy: /must end in a tag or digest/ },
  {
    what: "image with port, no tag",
    spec: { image: "r.io:5000/im" },
    field: "spec.image",
    remedy: /must end in a tag or digest/,
  },
  { what: "image with short digest", spec: { image: "im@sha256:abc" }, field: "spec.image", remedy: /64 hex digits/ },
  { what: "no entries", spec: entry({ replicas: 0 }), field: "spec.entry.replicas", remedy: /between 1 and 200/ },
  { what: "201 entries", spec: entry({ replicas: 201 }), field: "spec.entry.replicas", remedy: /between 1 and 200/ },
  { what: "half an entry", spec: entry({ replicas: 1.5 }), field: "spec.entry.replicas", remedy: /integer/ },
  {
    what: "10 connections a pod",
    spec: entry({ maxConnectionsPerPod: 10 }),
    field: "spec.entry.maxConnectionsPerPod",
    remedy: /between 100 and 500000/,
  },
  {
    what: "ping without unit",
    spec: entry({ pingInterval: "30" }),
    field: "spec.entry.pingInterval",
    remedy: /such as 30s or 1m/,
  },
  {
    what: "ping of a day",
    spec: entry({ pingInterval: "24h" }),
    field: "spec.entry.pingInterval",
    remedy: /between 5s and 5m/,
  },
  {
    what: "background ping of ten minutes",
    spec: entry({ backgroundPingInterval: "10m" }),
    field: "spec.entry.backgroundPingInterval",
    remedy: /between 5s and 5m/,
  },
  {
    what: "background ping without unit",
    spec: entry({ backgroundPingInterval: "often" }),
    field: "spec.entry.backgroundPingInterval",
    remedy: /such as 30s or 2m/,
  },
  {
    what: "an acknowledgement within two seconds",
    spec: { delivery: { ackTimeout: "2999ms" } },
    field: "spec.delivery.ackTimeout",
    remedy: /between 3s and 15s/,
  },
  {
    what: "an acknowledgement within a minute",
    spec: { delivery: { ackTimeout: "1m" } },
    field: "spec.delivery.ackTimeout",
    remedy: /between 3s and 15s/,
  },
  {
    what: "an acknowledgement timeout without unit",
    spec: { delivery: { ackTimeout: "5" } },
    field: "spec.delivery.ackTimeout",
    remedy: /such as 5s or 7500ms/,
  },
  {
    what: "window beyond deadline",
    spec: entry({ drain: { window: "30s", deadline: "20s" } }),
    field: "spec.entry.drain",
    remedy: /lower the window or raise the deadline/,
  },
  {
    what: "window equal to deadline",
    spec: entry({ drain: { window: "20s" } }),
    field: "spec.entry.drain",
    remedy: /must be shorter than/,
  },
  {
    what: "deadline of 2h",
    spec: entry({ drain: { deadline: "2h" } }),
    field: "spec.entry.drain.deadline",
    remedy: /between 1s and 1h/,
  },
  {
    what: "window in words",
    spec: entry({ drain: { window: "soon" } }),
    field: "spec.entry.drain.window",
    remedy: /such as 5s or 2m/,
  },
  {
    what: "unknown service type",
    spec: service({ type: "ExternalName" }),
    field: "spec.entry.service.type",
    remedy: /LoadBalancer, NodePort or ClusterIP/,
  },
  {
    what: "Local with ClusterIP",
    spec: service({ type: "ClusterIP", externalTrafficPolicy: "Local" }),
    field: "spec.entry.service",
    remedy: /remove it, or change spec\.entry\.service\.type/,
  },
  {
    what: "unknown traffic policy",
    spec: service({ externalTrafficPolicy: "Nearest" }),
    field: "spec.entry.service.externalTrafficPolicy",
    remedy: /Cluster or Local/,
  },
  {
    what: "load balancer class with NodePort",
    spec: service({ type: "NodePort", loadBalancerClass: "x/y" }),
    field: "spec.entry.service",
    remedy: /loadBalancerClass needs type LoadBalancer/,
  },
  {
    what: "load balancer annotation with ClusterIP",
    spec: service({ type: "ClusterIP", annotations: { "service.beta.kubernetes.io/aws-load-balancer-type": "nlb" } }),
    field: "spec.entry.service",
    remedy: /need type LoadBalancer/,
  },
  {
    what: "reserved service annotation",
    spec: service({ annotations: { "imcluster.io/drain": "x" } }),
    field: "spec.entry.service.annotations",
    remedy: /rename the annotation/,
  },
  {
    what: "reserved pod label",
    spec: template({ labels: { "imcluster.io/revision": "x" } }),
    field: "spec.entry.podTemplate.labels",
    remedy: /rename the label/,
  },
  {
    what: "recommended label of another value",
    spec: template({ labels: { "app.kubernetes.io/component": "x" } }),
    field: "spec.entry.podTemplate.labels",
    remedy: /rename the label/,
  },
  {
    what: "reserved pod annotation",
    spec: { logic: { podTemplate: { annotations: { "imcluster.io/config-hash": "x" } } } },
    field: "spec.logic.podTemplate.annotations",
    remedy: /rename the annotation/,
  },
  {
    what: "toleration with Exists and value",
    spec: template({ tolerations: [{ key: "a", operator: "Exists", value: "b" }] }),
    field: "spec.entry.podTemplate.tolerations[0]",
    remedy: /remove the value/,
  },
  {
    what: "memory in words",
    spec: entry({ resources: { requests: { memory: "plenty" } } }),
    field: "spec.entry.resources.requests",
    remedy: /such as 500m, 2 or 512Mi/,
  },
  {
    what: "unknown resource",
    spec: entry({ resources: { limits: { gpu: 1 } } }),
    field: "spec.entry.resources.limits",
    remedy: /cpu, memory and ephemeral-storage only/,
  },
  { what: "no logic", spec: { logic: { replicas: 0 } }, field: "spec.logic.replicas", remedy: /between 1 and 100/ },
  {
    what: "negative extlogic",
    spec: { extlogic: { replicas: -1 } },
    field: "spec.extlogic.replicas",
    remedy: /between 0 and 100/,
  },
  {
    what: "plain webhook to the internet",
    spec: { extlogic: { webhook: { url: "http://hooks.example.com/push" } } },
    field: "spec.extlogic.webhook.url",
    remedy: /must start with https/,
  },
  {
    what: "webhook with credentials",
    spec: { extlogic: { webhook: { url: "https://user:pw@hooks.example.com/" } } },
    field: "spec.extlogic.webhook.url",
    remedy: /credentials belong in secretRef/,
  },
  {
    what: "webhook without url",
    spec: { extlogic: { webhook: {} } },
    field: "spec.extlogic.webhook.url",
    remedy: /Required/,
  },
  {
    what: "push step without a provider",
    spec: { extlogic: { push: { policy: { steps: [{ channel: "Sms" }] } } } },
    field: "spec.extlogic.push",
    remedy: /configure apns, fcm or webPush \(App\)/,
  },
  {
    what: "webhook step without a webhook",
    spec: { extlogic: { push: { policy: { steps: [{ channel: "Webhook" }] } } } },
    field: "spec.extlogic",
    remedy: /set spec.extlogic.webhook/,
  },
  {
    what: "push step twice",
    spec: { extlogic: { push: { fcm, policy: { steps: [{ channel: "App" }, { channel: "App" }] } } } },
    field: "spec.extlogic.push.policy.steps",
    remedy: /Duplicate/,
  },
  {
    what: "push delay that is none",
    spec: { extlogic: { push: { fcm, policy: { steps: [{ channel: "App", delay: "soon" }] } } } },
    field: "spec.extlogic.push.policy.steps",
    remedy: /such as 5m, or never/,
  },
  {
    what: "quiet hours without length",
    spec: { extlogic: { push: { policy: { quietHours: { start: "08:00", end: "08:00" } } } } },
    field: "spec.extlogic.push.policy.quietHours",
    remedy: /must differ/,
  },
  {
    what: "quiet hours of another clock",
    spec: { extlogic: { push: { policy: { quietHours: { start: "10pm", end: "08:00" } } } } },
    field: "spec.extlogic.push.policy.quietHours.start",
    remedy: /such as 22:00/,
  },
  {
    what: "APNs key id",
    spec: { extlogic: { push: { apns: { keySecretRef: ref, keyId: "abc", teamId: "DEF123GHIJ", topic: "com.x" } } } },
    field: "spec.extlogic.push.apns.keyId",
    remedy: /10 characters/,
  },
  {
    what: "SMS gateway without url",
    spec: { extlogic: { push: { sms: { secretRef: ref, template: "t" } } } },
    field: "spec.extlogic.push.sms",
    remedy: /url is required/,
  },
  {
    what: "Aliyun without its names",
    spec: { extlogic: { push: { sms: { vendor: "Aliyun", secretRef: ref, template: "t" } } } },
    field: "spec.extlogic.push.sms",
    remedy: /needs accessKeyId and signName/,
  },
  {
    what: "push provider in plain text on the internet",
    spec: { extlogic: { push: { fcm: { ...fcm, url: "http://fcm.example.com" } } } },
    field: "spec.extlogic.push.fcm.url",
    remedy: /must start with https/,
  },
  {
    what: "VAPID without a contact",
    spec: { extlogic: { push: { webPush: { keySecretRef: ref, subject: "me" } } } },
    field: "spec.extlogic.push.webPush.subject",
    remedy: /mailto: or https:/,
  },
  {
    what: "both kinds of PostgreSQL",
    spec: { postgres: { urlSecretRef: ref, embedded: {} } },
    field: "spec.postgres",
    remedy: /exclude each other: remove one/,
  },
  {
    what: "both kinds of Redis",
    spec: { redis: { urlSecretRef: ref, embedded: {} } },
    field: "spec.redis",
    remedy: /exclude each other: remove one/,
  },
  {
    what: "a queue beside the embedded Redis",
    spec: { redis: { queueUrlSecretRef: ref } },
    field: "spec.redis",
    remedy: /needs spec\.redis\.urlSecretRef/,
  },
  {
    what: "Secret without key",
    spec: { postgres: { urlSecretRef: { name: "db" } } },
    field: "spec.postgres.urlSecretRef.key",
    remedy: /Required/,
  },
  {
    what: "Secret name with upper case",
    spec: { redis: { urlSecretRef: { name: "DB", key: "url" } } },
    field: "spec.redis.urlSecretRef.name",
    remedy: /only a-z, 0-9, '-' and '\.'/,
  },
  {
    what: "storage of 1 MiB",
    spec: { postgres: { embedded: { storageSize: "1Mi" } } },
    field: "spec.postgres.embedded.storageSize",
    remedy: /between 1Gi and 16Ti/,
  },
  {
    what: "Redis memory in words",
    spec: { redis: { embedded: { maxMemory: "all" } } },
    field: "spec.redis.embedded.maxMemory",
    remedy: /between 16Mi and 64Gi/,
  },
  {
    what: "generated TLS Secret named",
    spec: { tls: { secretName: "demo-tls" } },
    field: "",
    remedy: /spec\.tls\.secretName must not be '<name>-tls'.*leave the field out/,
  },
  {
    what: "embedded database's Secret named",
    spec: { postgres: { urlSecretRef: { name: "demo-postgres", key: "url" } } },
    field: "",
    remedy: /spec\.postgres\.urlSecretRef\.name must not be.*name your own Secret/,
  },
  {
    what: "generated keys named",
    spec: { auth: { jwksSecretRef: { name: "demo-auth", key: "jwks.json" } } },
    field: "",
    remedy: /spec\.auth\.jwksSecretRef\.name must not be.*leave the field out/,
  },
  {
    what: "generated keys named as a shared secret",
    spec: { auth: { sharedSecretRef: { name: "demo-auth", key: "secret" } } },
    field: "",
    remedy: /spec\.auth\.sharedSecretRef\.name must not be.*name your own Secret/,
  },
  {
    what: "public keys and a shared secret",
    spec: { auth: { jwksSecretRef: ref, sharedSecretRef: ref } },
    field: "spec.auth",
    remedy: /not both/,
  },
  {
    what: "HS256 without a shared secret",
    spec: { auth: { algorithms: ["HS256"] } },
    field: "spec.auth",
    remedy: /exactly when sharedSecretRef is set/,
  },
  {
    what: "EdDSA next to a shared secret's HS256",
    spec: { auth: { sharedSecretRef: ref, algorithms: ["HS256", "EdDSA"] } },
    field: "spec.auth",
    remedy: /must be \[HS256\]/,
  },
  {
    what: "no algorithm",
    spec: { auth: { algorithms: [] } },
    field: "spec.auth.algorithms",
    remedy: /at least 1 item/,
  },
  {
    what: "an unsigned algorithm",
    spec: { auth: { algorithms: ["none"] } },
    field: "spec.auth.algorithms",
    remedy: /EdDSA/,
  },
  {
    what: "another policy",
    spec: { sessions: { policy: "two" } },
    field: "spec.sessions.policy",
    remedy: /n-per-slot/,
  },
  {
    what: "n-per-slot without a number",
    spec: { sessions: { policy: "n-per-slot" } },
    field: "spec.sessions",
    remedy: /set both/,
  },
  {
    what: "a number without n-per-slot",
    spec: { sessions: { perSlot: 3 } },
    field: "spec.sessions",
    remedy: /set both/,
  },
  {
    what: "one session by n-per-slot",
    spec: { sessions: { policy: "n-per-slot", perSlot: 1 } },
    field: "spec.sessions.perSlot",
    remedy: /greater than or equal to 2/,
  },
  {
    what: "33 sessions of a class",
    spec: { sessions: { policy: "n-per-slot", perSlot: 33 } },
    field: "spec.sessions.perSlot",
    remedy: /less than or equal to 32/,
  },
  {
    what: "negative logins per minute",
    spec: { sessions: { loginsPerMinute: -1 } },
    field: "spec.sessions.loginsPerMinute",
    remedy: /greater than or equal to 0/,
  },
  {
    what: "retention of 6 days",
    spec: { retention: { days: 6, resendDays: 7 } },
    field: "spec.retention.days",
    remedy: /between 7 and 3650/,
  },
  {
    what: "resends of 3651 days",
    spec: { retention: { days: 3650, resendDays: 3651 } },
    field: "spec.retention.resendDays",
    remedy: /between 7 and 3650/,
  },
  {
    what: "resends kept longer than messages",
    spec: { retention: { days: 13 } },
    field: "spec.retention",
    remedy: /must not be longer than spec\.retention\.days/,
  },
  { what: "empty issuer", spec: { auth: { issuer: "" } }, field: "spec.auth.issuer", remedy: /at least 1 chars/ },
  { what: "unknown field", spec: entry({ replica: 3 }), field: "spec.entry.replica", remedy: /unknown field/ },
];

async function refusal(action: Promise<unknown>): Promise<string> {
  try {
    await action;
  } catch (error) {
    assert.ok(error instanceof KubeError, String(error));
    assert.ok(error.status === 422 || error.status === 400, error.message);
    return error.message;
  }
  return assert.fail("the API server accepted it");
}

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
            drain: { window: "0s", deadline: "1h" },
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
      entry: {
        ...{
          replicas: 3,
          maxConnectionsPerPod: 20_000,
          demo: false,
          pingInterval: "30s",
          backgroundPingInterval: "2m",
        },
        service: { type: "LoadBalancer" },
        drain: { window: "5s", deadline: "20s" },
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
      logic: { replicas: 2 },
      extlogic: { replicas: 1 },
      delivery: { ackTimeout: "5s" },
      retention: { days: 90, resendDays: 14 },
      ...{ postgres: {}, redis: {}, tls: { minVersion: "TLSv1.3" }, auth: { issuer: "imcluster" } },
      sessions: { policy: "one-per-slot", loginsPerMinute: 15 },
    });
  });
});
