// SPDX-License-Identifier: Apache-2.0

/** A spec that the API server must refuse, and how. */
export interface Wrong {
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
/** A key of a Secret. */
export const ref = { name: "db", key: "url" };
const fcm = { serviceAccountSecretRef: ref };
/** Every provider of pushes. */
export const fullPush = {
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

export const WRONG: readonly Wrong[] = [
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
    what: "load balancer that takes an hour",
    spec: entry({ drain: { lbDetach: "1h" } }),
    field: "spec.entry.drain.lbDetach",
    remedy: /at most 10m/,
  },
  {
    what: "lowest rate above the highest",
    spec: entry({ drain: { reconnectBudget: { maxPerSecond: 10 } } }),
    field: "spec.entry.drain.reconnectBudget",
    remedy: /lower the one or raise the other/,
  },
  {
    what: "login target of a day",
    spec: entry({ drain: { reconnectBudget: { targets: { loginP99: "24h" } } } }),
    field: "spec.entry.drain.reconnectBudget.targets.loginP99",
    remedy: /between 10ms and 1m/,
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
    what: "presence for everybody",
    spec: { presence: { visibleTo: "everybody" } },
    field: "spec.presence.visibleTo",
    remedy: /"nobody", "peers"/,
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
  {
    what: "an unknown way to update",
    spec: entry({ update: { strategy: "RollingUpdate" } }),
    field: "spec.entry.update.strategy",
    remedy: /BlueGreen, Batched or OnDelete/,
  },
  ...["0%", "101%", "0", "201", "1.5", "many"].map((batch) => ({
    what: `a batch of ${batch}`,
    spec: entry({ update: { batch } }),
    field: "spec.entry.update.batch",
    remedy: /from 1% to 100%, for example 25%/,
  })),
  {
    what: "no canary",
    spec: entry({ update: { canary: { entries: 0 } } }),
    field: "spec.entry.update.canary.entries",
    remedy: /between 1 and 20/,
  },
  {
    what: "a soak of two days",
    spec: entry({ update: { canary: { soak: "48h" } } }),
    field: "spec.entry.update.canary.soak",
    remedy: /at most 24h/,
  },
  {
    what: "a soak without a unit",
    spec: entry({ update: { canary: { soak: "10" } } }),
    field: "spec.entry.update.canary.soak",
    remedy: /duration such as 10m/,
  },
  {
    what: "answers that may take no longer",
    spec: entry({ update: { canary: { abortOn: { ackP99IncreasePercent: 0 } } } }),
    field: "spec.entry.update.canary.abortOn.ackP99IncreasePercent",
    remedy: /between 1 and 1000/,
  },
  {
    what: "logins that succeed more than always",
    spec: entry({ update: { canary: { abortOn: { reconnectSuccessPercent: 101 } } } }),
    field: "spec.entry.update.canary.abortOn.reconnectSuccessPercent",
    remedy: /between 0 and 100/,
  },
  {
    what: "no window at all",
    spec: entry({ update: { windows: [] } }),
    field: "spec.entry.update.windows",
    remedy: /at least 1 item/,
  },
  {
    what: "a window that never ends",
    spec: entry({ update: { windows: [{ cron: "0 2 * * *", duration: "200h" }] } }),
    field: "spec.entry.update.windows[0].duration",
    remedy: /between 1m and 168h/,
  },
  {
    what: "approval by somebody else",
    spec: entry({ update: { approval: { mode: "Ask" } } }),
    field: "spec.entry.update.approval.mode",
    remedy: /Auto or Manual/,
  },
  {
    what: "approval above less than nobody",
    spec: entry({ update: { approval: { manualAboveSessions: -1 } } }),
    field: "spec.entry.update.approval.manualAboveSessions",
    remedy: /not be negative/,
  },
  { what: "empty issuer", spec: { auth: { issuer: "" } }, field: "spec.auth.issuer", remedy: /at least 1 chars/ },
  { what: "unknown field", spec: entry({ replica: 3 }), field: "spec.entry.replica", remedy: /unknown field/ },
];
