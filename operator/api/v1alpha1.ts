// SPDX-License-Identifier: Apache-2.0
// Generated from crds/imcluster.yaml by `make gen`. Do not edit.

import type { KubeObject } from "../kube/types.ts";

export const API_VERSION = "imcluster.io/v1alpha1";
export const KIND = "ImCluster";

/**
 * ImCluster is one instant messaging fleet: entry pods that hold the connections of phones, browsers and servers,
 * logic pods that persist and deliver messages, and extlogic pods that reach people who are away.
 */
export interface ImCluster extends KubeObject {
  spec: ImClusterSpec;
  status?: ImClusterStatus;
}

/** When the policy counts. Default always. */
export interface EntryAutoscalingPolicyScheduleSpec {
  /**
   * When it begins - minute, hour, day of the month, month, day of the week - for example 0 8 * * 1-5 for 8 o'clock
   * on workdays.
   */
  cron: string;
  /** How long it lasts, 1m to 168h, for example 12h. */
  duration: string;
  /**
   * Time zone of cron by its IANA name, for example Europe/Berlin. Default UTC. A time that comes twice when clocks
   * go back is the first one.
   */
  timezone: string;
}

/** What stays free. */
export interface EntryAutoscalingPolicyBufferSpec {
  /** Share of all connections that entries could hold, 0% to 90%, or a number of connections. */
  freeConnections: number | string;
}

/** How much stays free, and when. */
export interface EntryAutoscalingPolicySpec {
  /** When the policy counts. Default always. */
  schedule?: EntryAutoscalingPolicyScheduleSpec;
  /** What stays free. */
  buffer: EntryAutoscalingPolicyBufferSpec;
}

/** How fast entries may become fewer. Becoming more is never held back. */
export interface EntryAutoscalingScaleDownSpec {
  /** Entries become fewer only when fewer were enough for so long, 0s to 24h. Default 30m. */
  stabilization: string;
  /** Entries that go within an hour at most, 1 to 200. Default 4. */
  maxPodsPerHour: number;
}

/**
 * The operator chooses the number of entries by their free connections. Default none: spec.entry.replicas, which you
 * or a HorizontalPodAutoscaler set, is the number.
 */
export interface EntryAutoscalingSpec {
  /** Entries that there are at least, 1 to 200. */
  min: number;
  /** Entries that there are at most, 1 to 200. */
  max: number;
  /**
   * The first whose schedule is open, or that has none, says how much stays free; without any that fits the number
   * stays as it is. Default one that keeps 15 % free.
   */
  policies: EntryAutoscalingPolicySpec[];
  /** How fast entries may become fewer. Becoming more is never held back. */
  scaleDown: EntryAutoscalingScaleDownSpec;
}

/**
 * For load balancers that begin each connection with a PROXY protocol version 2 header, which tells the client's
 * address. Default none. Changing it rolls the entries.
 */
export interface EntryProxyProtocolSpec {
  /**
   * Address ranges of the load balancers. Connections from there must begin with the header; the header of anybody
   * else is refused. Never a range from which clients come.
   */
  trustedCIDRs: string[];
}

/**
 * What clients may do at most; 0 means any amount, and ten seconds of a rate may come at once. Limits per address
 * count addresses that proxyProtocol tells, and peers only with peerAddresses. Changing them rolls the entries.
 */
export interface EntryLimitsSpec {
  /**
   * Peers are the clients themselves, hidden by no load balancer, so limits per address count them. Default false.
   */
  peerAddresses: boolean;
  /** New connections per second of one IPv4 address or IPv6 /64 on one entry, 0 to 100000. Default 50. */
  connectionsPerSecondPerAddress: number;
  /** Connections at a time of one IPv4 address or IPv6 /64 on one entry, 0 to 1000000. Default 2000. */
  connectionsPerAddress: number;
  /** Invalid tokens per minute of one IPv4 address or IPv6 /64 on one entry, 0 to 100000. Default 60. */
  failedLoginsPerMinutePerAddress: number;
  /** Frames per second that one session is read, 0 to 1000000. Default 500. */
  framesPerSecond: number;
  /** Bytes per second that one session is read, 0 to 1000000000. Default 2097152. */
  bytesPerSecond: number;
  /** Messages per second of one user on one entry, 0 to 1000000. Default 200. */
  messagesPerSecondPerUser: number;
}

/** The Service in front of the entries, ports 443 (TLS) and 80 (redirects to 443). */
export interface EntryServiceSpec {
  /**
   * LoadBalancer (default), NodePort, or ClusterIP behind a proxy of your own. Changing it can change the address of
   * the cluster.
   */
  type: string;
  /**
   * Cluster (the default of Kubernetes) spreads connections evenly over all entries; Local keeps the client's address
   * and skips one hop, but only nodes with a ready entry take connections.
   */
  externalTrafficPolicy?: string;
  /**
   * Which load balancer implementation serves it, for clusters with several. Default is the cluster's own choice.
   * Cannot change while the type is LoadBalancer.
   */
  loadBalancerClass?: string;
  /** Annotations of the Service, for example settings of a cloud load balancer. Default none. */
  annotations?: Record<string, string>;
}

/** The rate is halved when one of these is missed. */
export interface EntryDrainReconnectBudgetTargetsSpec {
  /** 99 of 100 logins at the other entries are answered within this, 10ms to 1m. Default 1s. */
  loginP99: string;
  /** Of the logins at the other entries, how many may be refused, 1 to 100. Default 5. */
  loginFailurePercent: number;
}

/**
 * How many clients per second all drains together may ask to reconnect. The operator stays below maxPerSecond, halves
 * the rate when other entries or logic suffer, and raises it again step by step. An entry is never asked to go faster
 * than its window says. Without an operator each entry goes by its window alone.
 */
export interface EntryDrainReconnectBudgetSpec {
  /** Reconnects per second on a good day, 1 to 100000. Default 2000. */
  maxPerSecond: number;
  /** The rate is never lowered below this, 1 to 100000. Default 50. */
  minPerSecond: number;
  /** The rate is halved when one of these is missed. */
  targets: EntryDrainReconnectBudgetTargetsSpec;
}

/** How connections are moved away before an entry goes (scale-down, upgrade). */
export interface EntryDrainSpec {
  /**
   * Clients are asked to reconnect (GOAWAY) spread evenly over this time, 0s to 30m. Default 5s. Longer is gentler on
   * logins: window = connections per pod divided by a safe login rate. Changing it rolls the entries.
   */
  window: string;
  /**
   * Connections still open this long after the drain began are closed, 1s to 1h. Default 20s. The pod's termination
   * grace period is this plus 10 s. Changing it rolls the entries.
   */
  deadline: string;
  /**
   * What becomes of connections that are still open at the deadline. Force (default) closes them at the rate of
   * reconnectBudget; Hold lets them stay until they end by themselves, and the pod with them. SIGTERM always forces.
   */
  onDeadline: "Force" | "Hold";
  /**
   * How long new connections may still arrive after an entry is not ready any more, 0s to 10m. Default 2s, enough for
   * kube-proxy. Cloud load balancers that check for themselves take longer, for example 15s, or 300s for an AWS NLB
   * with IP targets. Auto takes what the last drain showed (status.dataPlane), 2s to 5m. Not waited for when nobody
   * is connected.
   */
  lbDetach: string;
  /**
   * How many clients per second all drains together may ask to reconnect. The operator stays below maxPerSecond,
   * halves the rate when other entries or logic suffer, and raises it again step by step. An entry is never asked to
   * go faster than its window says. Without an operator each entry goes by its window alone.
   */
  reconnectBudget: EntryDrainReconnectBudgetSpec;
}

/** How much worse than the old entries they may be. */
export interface EntryUpdateCanaryAbortOnSpec {
  /**
   * How much longer the slowest one in a hundred answers may take, 1 to 1000, when that is 20 ms or more. Default 30.
   */
  ackP99IncreasePercent: number;
  /** So many of a hundred logins must succeed, unless the old entries do no better, 0 to 100. Default 95. */
  reconnectSuccessPercent: number;
}

/**
 * First so few new entries serve beside all the old ones, and the update goes on only when they do well. Default
 * none. When they do not, they leave again and the condition UpdateBlocked says why, until the spec changes; without
 * canary it goes on all the same.
 */
export interface EntryUpdateCanarySpec {
  /** New entries that serve first, 1 to 20. Default 1. */
  entries: number;
  /** How long they must all be ready without a restart, 0s to 24h. Default 10m. */
  soak: string;
  /** How much worse than the old entries they may be. */
  abortOn: EntryUpdateCanaryAbortOnSpec;
}

/** A time that comes again, for example at night. */
export interface EntryUpdateWindowSpec {
  /**
   * When it begins - minute, hour, day of the month, month, day of the week - for example 0 8 * * 1-5 for 8 o'clock
   * on workdays.
   */
  cron: string;
  /** How long it lasts, 1m to 168h, for example 12h. */
  duration: string;
  /**
   * Time zone of cron by its IANA name, for example Europe/Berlin. Default UTC. A time that comes twice when clocks
   * go back is the first one.
   */
  timezone: string;
}

/** Whether a person must agree before entries are replaced. */
export interface EntryUpdateApprovalSpec {
  /**
   * Auto (default), or Manual. An update that waits says so in the condition UpdateBlocked, with the command that
   * approves it (annotation imcluster.io/approve-update with the revision as its value).
   */
  mode: string;
  /** With mode Manual, an update that moves no more sessions than this needs no approval. Default 0. */
  manualAboveSessions: number;
}

/** How entries of a new revision take the place of the old ones. Changing it rolls nothing. */
export interface EntryUpdateSpec {
  /**
   * BlueGreen (default) makes all new entries first, then no old one takes connections any more: clients reconnect
   * once at most. Batched needs room for only one batch more. OnDelete replaces an entry when you delete its pod.
   */
  strategy: string;
  /**
   * Entries replaced at a time with strategy Batched, and where BlueGreen finds no room for all: a share such as 25%,
   * or a number such as "2". Default 25%. So many new entries, if they have room for everybody, are enough for the
   * old ones to close.
   */
  batch: string;
  /**
   * After an update in batches the first new entries have most connections. Those with so many percent more than the
   * mean, 10 to 1000, then ask what is above it to reconnect: idle clients first, within the reconnect budget, each
   * once. Default: they do not.
   */
  maxSkewPercent?: number;
  /**
   * First so few new entries serve beside all the old ones, and the update goes on only when they do well. Default
   * none. When they do not, they leave again and the condition UpdateBlocked says why, until the spec changes;
   * without canary it goes on all the same.
   */
  canary?: EntryUpdateCanarySpec;
  /**
   * An update of the entries begins only while one of these is open, and then goes on to its end. Default none: at
   * any time.
   */
  windows?: EntryUpdateWindowSpec[];
  /** Whether a person must agree before entries are replaced. */
  approval: EntryUpdateApprovalSpec;
}

/** CPU and memory of the container. Default none. Changing it rolls the pods. */
export interface EntryResourcesSpec {
  /** What the scheduler reserves, for example {cpu 500m, memory 512Mi}. */
  requests?: Record<string, number | string>;
  /** What the container may use at most. */
  limits?: Record<string, number | string>;
}

/** One tolerated taint. */
export interface EntryPodTemplateTolerationSpec {
  /** Key of the taint; none with operator Exists tolerates every taint. */
  key?: string;
  /** Equal (default) compares the value, Exists does not. */
  operator?: "Equal" | "Exists";
  /** Value of the taint. */
  value?: string;
  /** NoSchedule, PreferNoSchedule or NoExecute; none means all. */
  effect?: "NoSchedule" | "PreferNoSchedule" | "NoExecute";
  /** How long a NoExecute taint is tolerated, in seconds; none means for ever. */
  tolerationSeconds?: number;
}

/** Additions to the pods. Changing them rolls the pods. */
export interface EntryPodTemplateSpec {
  /** Labels added to the pods. Default none. */
  labels?: Record<string, string>;
  /** Annotations added to the pods. Default none. */
  annotations?: Record<string, string>;
  /** Labels a node must have. Default none. */
  nodeSelector?: Record<string, string>;
  /** Taints of nodes the pods tolerate. Default none. */
  tolerations?: EntryPodTemplateTolerationSpec[];
}

/** Entry pods hold the connections of clients. They are created and drained by the operator itself. */
export interface EntrySpec {
  /**
   * Number of entry pods, 1 to 200. Default 3. Raising it adds pods; lowering it drains the pods with the fewest
   * sessions first. Also set by `kubectl scale` and by a HorizontalPodAutoscaler. With autoscaling it is only the
   * number to begin with.
   */
  replicas: number;
  /**
   * The operator chooses the number of entries by their free connections. Default none: spec.entry.replicas, which
   * you or a HorizontalPodAutoscaler set, is the number.
   */
  autoscaling?: EntryAutoscalingSpec;
  /**
   * Connections that one entry accepts before it answers OVERLOADED, 100 to 500000. Default 20000. Stay below the
   * open files limit of the nodes. Changing it rolls the entries.
   */
  maxConnectionsPerPod: number;
  /**
   * Which log lines the entry pods write: debug, info, warn or error, and what is graver. Default info. A change is
   * in force when the kubelet has written it, within about a minute, without a restart.
   */
  logLevel: "debug" | "info" | "warn" | "error";
  /**
   * Serve the sample chat page under /demo/. Default false; do not turn it on in production. Changing it rolls the
   * entries.
   */
  demo: boolean;
  /**
   * For load balancers that begin each connection with a PROXY protocol version 2 header, which tells the client's
   * address. Default none. Changing it rolls the entries.
   */
  proxyProtocol?: EntryProxyProtocolSpec;
  /**
   * What clients may do at most; 0 means any amount, and ten seconds of a rate may come at once. Limits per address
   * count addresses that proxyProtocol tells, and peers only with peerAddresses. Changing them rolls the entries.
   */
  limits: EntryLimitsSpec;
  /**
   * Origins of other hosts whose pages may connect, by WebSocket or HTTP, for example https://shop.example.com. Pages
   * of the entries' own host always may. Default none. Changing it rolls the entries.
   */
  origins?: string[];
  /**
   * Public addresses of the fleet that GET /v1/endpoints lists for clients that cannot reach the one they know, best
   * first: direct (an entry itself), list (others), balancer. Default: the host that was asked. The certificate must
   * name them; the generated one does. Changing it rolls the entries.
   */
  endpoints?: string[];
  /**
   * How often clients are told to send PING, 5s to 5m. Default 30s. Longer saves traffic, shorter notices dead
   * connections sooner. Changing it rolls the fleet.
   */
  pingInterval: string;
  /**
   * How often clients send PING while their app is in the background, 5s to 5m. Default 2m. A device that vanished
   * there counts as online for twice as long. Changing it rolls logic.
   */
  backgroundPingInterval: string;
  /** The Service in front of the entries, ports 443 (TLS) and 80 (redirects to 443). */
  service: EntryServiceSpec;
  /** How connections are moved away before an entry goes (scale-down, upgrade). */
  drain: EntryDrainSpec;
  /** How entries of a new revision take the place of the old ones. Changing it rolls nothing. */
  update: EntryUpdateSpec;
  /** CPU and memory of the container. Default none. Changing it rolls the pods. */
  resources?: EntryResourcesSpec;
  /** Additions to the pods. Changing them rolls the pods. */
  podTemplate?: EntryPodTemplateSpec;
}

/**
 * Secret key with API keys as JSON. Default none. A changed value is in force when the kubelet has written it,
 * without a restart.
 */
export interface LogicServerApiKeysSecretRefSpec {
  /** Name of the Secret. */
  name: string;
  /** Key in the Secret's data. */
  key: string;
}

/**
 * The HTTP API for the shop's backends, at port 8090 of the Service '<name>-api'. Default none; {} is enough to have
 * it. Every call needs an API key: those of keysSecretRef, and those that keys-main.ts makes in a logic pod. Changing
 * it rolls logic.
 */
export interface LogicServerApiSpec {
  /**
   * Secret key with API keys as JSON. Default none. A changed value is in force when the kubelet has written it,
   * without a restart.
   */
  keysSecretRef?: LogicServerApiKeysSecretRefSpec;
  /**
   * Secret of type kubernetes.io/tls with tls.crt and tls.key. With ca.crt in it, callers must show a certificate of
   * that CA. Default none, the API is plain HTTP: let nobody but a proxy of yours that ends TLS reach it. A renewed
   * certificate is reloaded without a restart.
   */
  tlsSecretName?: string;
  /**
   * The same API over gRPC, too, at port 8091 of the same Service, by the same keys, certificate and limits. Default
   * false.
   */
  grpc: boolean;
  /** Calls per second of one API key at each logic pod, 1 to 100000. Default 100; twice as many may come at once. */
  ratePerSecond: number;
  /** How long the audit log of the API is kept, 90 to 3650 days. Default 400. */
  auditDays: number;
}

/** Logic pods log users in, persist messages and deliver them. A Deployment; they hold no state. */
export interface LogicSpec {
  /** Number of logic pods, 1 to 100. Default 2. */
  replicas: number;
  /**
   * Which log lines the logic pods write: debug, info, warn or error, and what is graver. Default info. A change is
   * in force when the kubelet has written it, within about a minute, without a restart.
   */
  logLevel: "debug" | "info" | "warn" | "error";
  /** CPU and memory of the container. Default none. Changing it rolls the pods. */
  resources?: EntryResourcesSpec;
  /** Additions to the pods. Changing them rolls the pods. */
  podTemplate?: EntryPodTemplateSpec;
  /**
   * The HTTP API for the shop's backends, at port 8090 of the Service '<name>-api'. Default none; {} is enough to
   * have it. Every call needs an API key: those of keysSecretRef, and those that keys-main.ts makes in a logic pod.
   * Changing it rolls logic.
   */
  serverApi?: LogicServerApiSpec;
}

/** When a message that nobody acknowledges leads to a push. */
export interface DeliverySpec {
  /**
   * How long a device may take to acknowledge a message before its user is pushed to, 3s to 15s. Default 5s. It is
   * the wait on a connection of unknown round trip; measured ones wait shorter or longer, within the same bounds.
   * Changing it rolls logic and extlogic.
   */
  ackTimeout: string;
}

/** How long things are kept. Old ones go a month at a time, or a few pages at a time, by the extlogic pods. */
export interface RetentionSpec {
  /**
   * Days that messages and inboxes are kept, 7 to 3650. Default 90. A device that comes back later does not get what
   * is gone. Lowering it deletes data. Changing it rolls extlogic.
   */
  days: number;
  /**
   * Days that a message sent again with the same client id is recognised, 7 to 3650. Default 14. Longer takes more
   * disk. Changing it rolls extlogic.
   */
  resendDays: number;
  /**
   * Days that a broadcast is kept after it was over or retracted, 1 to 3650. Default 90. Changing it rolls extlogic.
   */
  broadcastDays: number;
}

/** Key of a Secret in the same namespace. */
export interface ExtlogicWebhookSecretRefSpec {
  /** Name of the Secret. */
  name: string;
  /** Key in the Secret's data. */
  key: string;
}

/** Where pushes for people who are away are sent. Default none, pushes are only logged. */
export interface ExtlogicWebhookSpec {
  /**
   * POST target. https, or http to a Service of this cluster (host ends in .svc or .svc.cluster.local). Changing it
   * rolls extlogic.
   */
  url: string;
  /** Key of a Secret in the same namespace. */
  secretRef?: ExtlogicWebhookSecretRefSpec;
}

/** Secret key with the .p8 file of the signing key. */
export interface ExtlogicPushApnsKeySecretRefSpec {
  /** Name of the Secret. */
  name: string;
  /** Key in the Secret's data. */
  key: string;
}

/** Apple Push Notification service with token authentication. */
export interface ExtlogicPushApnsSpec {
  /** Secret key with the .p8 file of the signing key. */
  keySecretRef: ExtlogicPushApnsKeySecretRefSpec;
  /** Id of the signing key, 10 characters. */
  keyId: string;
  /** Id of the Apple developer team, 10 characters. */
  teamId: string;
  /** Bundle id of the app, for example com.example.shop. */
  topic: string;
  /** Default https://api.push.apple.com; https://api.sandbox.push.apple.com for development builds. */
  url?: string;
}

/** Secret key with the service account's JSON file. */
export interface ExtlogicPushFcmServiceAccountSecretRefSpec {
  /** Name of the Secret. */
  name: string;
  /** Key in the Secret's data. */
  key: string;
}

/** Firebase Cloud Messaging, HTTP v1. */
export interface ExtlogicPushFcmSpec {
  /** Secret key with the service account's JSON file. */
  serviceAccountSecretRef: ExtlogicPushFcmServiceAccountSecretRefSpec;
  /** Default https://fcm.googleapis.com. */
  url?: string;
}

/** Secret key with a P-256 private key in PEM. Its public half is what pages subscribe with. */
export interface ExtlogicPushWebPushKeySecretRefSpec {
  /** Name of the Secret. */
  name: string;
  /** Key in the Secret's data. */
  key: string;
}

/** Web Push to browsers (VAPID). */
export interface ExtlogicPushWebPushSpec {
  /** Secret key with a P-256 private key in PEM. Its public half is what pages subscribe with. */
  keySecretRef: ExtlogicPushWebPushKeySecretRefSpec;
  /** Your contact for push services, for example mailto:push@example.com. */
  subject: string;
  /**
   * Origins of push services that may be called; https://*.example.com stands for all hosts below. Default those of
   * the browsers. Endpoints come from clients: others are refused.
   */
  services?: string[];
}

/** Secret key with the app secret. */
export interface ExtlogicPushWechatSecretRefSpec {
  /** Name of the Secret. */
  name: string;
  /** Key in the Secret's data. */
  key: string;
}

/** WeChat template messages (official account) or subscription messages (mini program). */
export interface ExtlogicPushWechatSpec {
  /** App id, for example wx1234567890abcdef. */
  appId: string;
  /** Secret key with the app secret. */
  secretRef: ExtlogicPushWechatSecretRefSpec;
  /** Template for an official account, Subscribe for a mini program. Default Template. */
  kind: "Template" | "Subscribe";
  /** Id of the template. */
  templateId: string;
  /** Fields of the template and their texts; {time} and {date} are filled in. The message's text is never sent. */
  data: Record<string, string>;
  /** What a tap opens. Default nothing. */
  page?: string;
  /** Default https://api.weixin.qq.com. */
  url?: string;
}

/** Secret key with the key of the signature, or Aliyun's access key secret. */
export interface ExtlogicPushSmsSecretRefSpec {
  /** Name of the Secret. */
  name: string;
  /** Key in the Secret's data. */
  key: string;
}

/** Text messages. */
export interface ExtlogicPushSmsSpec {
  /** Http for a gateway of your own that takes signed JSON, Aliyun for Alibaba Cloud SMS. Default Http. */
  vendor: "Http" | "Aliyun";
  /** Secret key with the key of the signature, or Aliyun's access key secret. */
  secretRef: ExtlogicPushSmsSecretRefSpec;
  /** Address of the gateway. Default for Aliyun https://dysmsapi.aliyuncs.com. */
  url?: string;
  /** Aliyun's access key id. */
  accessKeyId?: string;
  /** Name of the signature that Aliyun approved. */
  signName?: string;
  /** Name of the text at the gateway, for example SMS_123456. */
  template: string;
  /** Parameters of the text; {time} and {date} are filled in. Default none. */
  params?: Record<string, string>;
}

/** One step. */
export interface ExtlogicPushPolicyStepSpec {
  /** App (every device with a push token), WeChat, Sms or Webhook. */
  channel: "App" | "WeChat" | "Sms" | "Webhook";
  /**
   * Wait after a step that reached the user, 0s to 168h, or never. Default App 0s, WeChat 1m, Sms 5m, Webhook never.
   */
  delay?: string;
  /** Wait when no step before could reach the user, 0s to 168h. Default 0s, Sms 1m. */
  unreachedDelay?: string;
}

/** Hours in which channels are held back until their end. Default none. */
export interface ExtlogicPushPolicyQuietHoursSpec {
  /** Time of day in the user's time zone, for example 22:00. */
  start: string;
  /** Time of day, for example 08:00; before start means the next day. */
  end: string;
  /** What is held back. Default WeChat and Sms. */
  channels?: ("App" | "WeChat" | "Sms" | "Webhook")[];
}

/** Pushes per user and day. Default app 1000, wechat 50, sms 5, webhook without a cap. */
export interface ExtlogicPushPolicyDailyCapsSpec {
  /** App pushes. */
  app?: number;
  /** WeChat messages. */
  wechat?: number;
  /** Text messages. */
  sms?: number;
  /** Calls of the webhook. */
  webhook?: number;
}

/** In which order people are reached, and when they are left in peace. */
export interface ExtlogicPushPolicySpec {
  /**
   * Steps in their order, each taken only while the message is unread. Default App, WeChat, Sms, Webhook, as far as
   * they are configured.
   */
  steps?: ExtlogicPushPolicyStepSpec[];
  /** IANA time zone of users without one of their own. Default UTC. */
  timeZone?: string;
  /** Hours in which channels are held back until their end. Default none. */
  quietHours?: ExtlogicPushPolicyQuietHoursSpec;
  /** Pushes per user and day. Default app 1000, wechat 50, sms 5, webhook without a cap. */
  dailyCaps?: ExtlogicPushPolicyDailyCapsSpec;
  /**
   * Alert shows a notification. Background only wakes the app, at most once per device and backgroundInterval.
   * Default Alert.
   */
  appMode?: "Alert" | "Background";
  /** Shortest time between two background pushes to a device, 1s to 168h. Default 20m. */
  backgroundInterval?: string;
  /**
   * Whose acknowledgement makes a message read, Any device's or only Mobile ones' where the user has any. Default
   * Any.
   */
  readBy?: "Any" | "Mobile";
  /** A push that could not be delivered for so long is given up, 1m to 168h. Default 24h. */
  ttl?: string;
}

/**
 * Providers that reach people who are away, and the order in which they are used. Default none: only the webhook is
 * told. Changing it rolls extlogic; a changed Secret rolls it within a minute.
 */
export interface ExtlogicPushSpec {
  /** Apple Push Notification service with token authentication. */
  apns?: ExtlogicPushApnsSpec;
  /** Firebase Cloud Messaging, HTTP v1. */
  fcm?: ExtlogicPushFcmSpec;
  /** Web Push to browsers (VAPID). */
  webPush?: ExtlogicPushWebPushSpec;
  /** WeChat template messages (official account) or subscription messages (mini program). */
  wechat?: ExtlogicPushWechatSpec;
  /** Text messages. */
  sms?: ExtlogicPushSmsSpec;
  /** In which order people are reached, and when they are left in peace. */
  policy?: ExtlogicPushPolicySpec;
}

/** Extlogic pods do what may be slow or late, such as push webhooks for people who are away. A Deployment. */
export interface ExtlogicSpec {
  /** Number of extlogic pods, 0 to 100. Default 1. With 0 pushes wait in their queue; nothing is lost. */
  replicas: number;
  /**
   * Which log lines the extlogic pods write: debug, info, warn or error, and what is graver. Default info. A change
   * is in force when the kubelet has written it, within about a minute, without a restart.
   */
  logLevel: "debug" | "info" | "warn" | "error";
  /** CPU and memory of the container. Default none. Changing it rolls the pods. */
  resources?: EntryResourcesSpec;
  /** Additions to the pods. Changing them rolls the pods. */
  podTemplate?: EntryPodTemplateSpec;
  /** Where pushes for people who are away are sent. Default none, pushes are only logged. */
  webhook?: ExtlogicWebhookSpec;
  /**
   * Providers that reach people who are away, and the order in which they are used. Default none: only the webhook is
   * told. Changing it rolls extlogic; a changed Secret rolls it within a minute.
   */
  push?: ExtlogicPushSpec;
}

/**
 * Secret key with a connection URL, for example postgres://im:secret@db.shop.svc:5432/im?sslmode=require. A changed
 * value migrates that database and rolls logic and extlogic within a minute. A key migrationUrl in the same Secret,
 * where there is one, is the URL of the role that owns the tables; only the migration gets it.
 */
export interface PostgresUrlSecretRefSpec {
  /** Name of the Secret. */
  name: string;
  /** Key in the Secret's data. */
  key: string;
}

/**
 * Secret key with the keys that seal push tokens in the database: one a line, 32 bytes in base64, the newest first.
 * Default: a generated Secret, gone with the ImCluster. To rotate, put a new key in front; tokens of a key that is
 * missing are named again by their devices at their next start.
 */
export interface PostgresPushKeysSecretRefSpec {
  /** Name of the Secret. */
  name: string;
  /** Key in the Secret's data. */
  key: string;
}

/** Settings of the embedded server (one replica, no backup). Default when urlSecretRef is not set. */
export interface PostgresEmbeddedSpec {
  /**
   * Size of its volume, 1Gi to 16Ti. Default 5Gi. Cannot change after creation. Without a StorageClass the data lives
   * in the pod and is lost with it.
   */
  storageSize: string;
  /**
   * StorageClass of the volume. Default is the cluster's default class, or its only one. Cannot change after
   * creation.
   */
  storageClassName?: string;
}

/**
 * PostgreSQL holds every message. Name your own with urlSecretRef; without it the operator runs a single embedded
 * server, which is for trying out only. The choice cannot change later.
 */
export interface PostgresSpec {
  /**
   * Secret key with a connection URL, for example postgres://im:secret@db.shop.svc:5432/im?sslmode=require. A changed
   * value migrates that database and rolls logic and extlogic within a minute. A key migrationUrl in the same Secret,
   * where there is one, is the URL of the role that owns the tables; only the migration gets it.
   */
  urlSecretRef?: PostgresUrlSecretRefSpec;
  /**
   * Secret key with the keys that seal push tokens in the database: one a line, 32 bytes in base64, the newest first.
   * Default: a generated Secret, gone with the ImCluster. To rotate, put a new key in front; tokens of a key that is
   * missing are named again by their devices at their next start.
   */
  pushKeysSecretRef?: PostgresPushKeysSecretRefSpec;
  /** Settings of the embedded server (one replica, no backup). Default when urlSecretRef is not set. */
  embedded?: PostgresEmbeddedSpec;
}

/**
 * Secret key with a URL: rediss://:secret@redis.shop.svc:6379/0 for one server,
 * redis+sentinel://:secret@s1,s2,s3/group for the master that sentinels name, redis+cluster://:secret@n1,n2,n3 for a
 * Cluster. A changed value rolls logic and extlogic within a minute.
 */
export interface RedisUrlSecretRefSpec {
  /** Name of the Secret. */
  name: string;
  /** Key in the Secret's data. */
  key: string;
}

/**
 * Secret key with the URL of a Redis for push intents alone, in the same forms. Give it an append-only file, and
 * routes none. Default: the same Redis as for routes. A changed value rolls logic and extlogic within a minute.
 */
export interface RedisQueueUrlSecretRefSpec {
  /** Name of the Secret. */
  name: string;
  /** Key in the Secret's data. */
  key: string;
}

/** Settings of the embedded server (one replica, no persistence). Default when urlSecretRef is not set. */
export interface RedisEmbeddedSpec {
  /**
   * Memory for data, 16Mi to 64Gi. Default 128Mi. When it is full, routes are no longer stored and pushes fall back
   * to pull. Changing it restarts Redis.
   */
  maxMemory: string;
}

/**
 * Redis holds only hints (who is on which entry); losing it loses no message. Name your own with urlSecretRef;
 * without it the operator runs a single embedded server.
 */
export interface RedisSpec {
  /**
   * Secret key with a URL: rediss://:secret@redis.shop.svc:6379/0 for one server,
   * redis+sentinel://:secret@s1,s2,s3/group for the master that sentinels name, redis+cluster://:secret@n1,n2,n3 for
   * a Cluster. A changed value rolls logic and extlogic within a minute.
   */
  urlSecretRef?: RedisUrlSecretRefSpec;
  /**
   * Secret key with the URL of a Redis for push intents alone, in the same forms. Give it an append-only file, and
   * routes none. Default: the same Redis as for routes. A changed value rolls logic and extlogic within a minute.
   */
  queueUrlSecretRef?: RedisQueueUrlSecretRefSpec;
  /** Settings of the embedded server (one replica, no persistence). Default when urlSecretRef is not set. */
  embedded?: RedisEmbeddedSpec;
}

/** The certificate that clients see on port 443. */
export interface TlsSpec {
  /**
   * Secret of type kubernetes.io/tls with tls.crt and tls.key (for example of cert-manager). Default: the operator
   * makes '<name>-tls' with its own CA and renews it. A renewed certificate is reloaded without a restart.
   */
  secretName?: string;
  /**
   * Oldest TLS version that clients may use, TLSv1.3 or TLSv1.2. Default TLSv1.3. Changing it replaces the entry pods
   * by the drain.
   */
  minVersion: "TLSv1.3" | "TLSv1.2";
}

/**
 * Secret key with the public keys as JWKS. Default: a key pair is generated in '<name>-auth' (jwks.json,
 * private.jwk.json) for trying out. A changed value rolls logic within a minute.
 */
export interface AuthJwksSecretRefSpec {
  /** Name of the Secret. */
  name: string;
  /** Key in the Secret's data. */
  key: string;
}

/**
 * Secret key with a shared secret of at least 32 bytes, instead of public keys: tokens are then HS256. Whoever holds
 * it can sign tokens, so prefer public keys. A changed value rolls logic within a minute.
 */
export interface AuthSharedSecretRefSpec {
  /** Name of the Secret. */
  name: string;
  /** Key in the Secret's data. */
  key: string;
}

/** Which tokens let users in (JWT signed with EdDSA, ES256 or RS256, or with HS256 and a shared secret). */
export interface AuthSpec {
  /**
   * Required value of the claim iss. Default imcluster. Changing it rolls logic; tokens of the old issuer are
   * refused.
   */
  issuer: string;
  /**
   * Required value of the claim aud. Default is the name of the ImCluster. Changing it rolls logic; tokens for the
   * old audience are refused.
   */
  audience?: string;
  /**
   * Secret key with the public keys as JWKS. Default: a key pair is generated in '<name>-auth' (jwks.json,
   * private.jwk.json) for trying out. A changed value rolls logic within a minute.
   */
  jwksSecretRef?: AuthJwksSecretRefSpec;
  /**
   * Secret key with a shared secret of at least 32 bytes, instead of public keys: tokens are then HS256. Whoever
   * holds it can sign tokens, so prefer public keys. A changed value rolls logic within a minute.
   */
  sharedSecretRef?: AuthSharedSecretRefSpec;
  /** Signature algorithms allowed. Default all that the keys can have. Changing it rolls logic. */
  algorithms?: ("EdDSA" | "ES256" | "RS256" | "HS256")[];
}

/**
 * How many devices of one user may be logged in at the same time, per platform class (mobile, web, desktop, mini).
 */
export interface SessionsSpec {
  /**
   * one-per-slot (default): a login closes the older session of its class. n-per-slot: the newest perSlot devices of
   * a class stay. all: every device stays, 32 of a class at most. Changing it rolls logic; sessions that are open
   * stay until their next login.
   */
  policy: "one-per-slot" | "n-per-slot" | "all";
  /** Devices of one class that stay logged in, 2 to 32. Only with the policy n-per-slot. */
  perSlot?: number;
  /**
   * Logins per minute of one user and class, 0 to 10000; more are refused for 10 seconds, longer each time. 0 means
   * any number. Default 15. Changing it rolls logic.
   */
  loginsPerMinute: number;
}

/** Whether clients may see who is online. Administrators may at any time. */
export interface PresenceSpec {
  /**
   * nobody (default): clients see nobody's presence, and it costs nothing. peers: a user sees those who have written
   * to it or share a group with it, by asking or by a subscription. Changing it rolls logic.
   */
  visibleTo: "nobody" | "peers";
}

/**
 * Secret key with the keys that sign cards, an id and at least 32 bytes in base64 a line, the newest first. A changed
 * value is in force when the kubelet has written it, without a restart.
 */
export interface ChatCardsKeysSecretRefSpec {
  /** Name of the Secret. */
  name: string;
  /** Key in the Secret's data. */
  key: string;
}

/** Secret key with the secret that signs what this backend is told. */
export interface ChatCardsActionsSecretRefSpec {
  /** Name of the Secret. */
  name: string;
  /** Key in the Secret's data. */
  key: string;
}

/**
 * The backend that is told of pressed buttons. Default none, buttons do nothing. Changing it, or its secret, rolls
 * logic.
 */
export interface ChatCardsActionsSpec {
  /**
   * POST target. https; http only to addresses of webhookAllowedNetworks, and private addresses only when they are in
   * them.
   */
  url: string;
  /** Secret key with the secret that signs what this backend is told. */
  secretRef: ChatCardsActionsSecretRefSpec;
}

/** Signed cards of items, orders and offers. Default none, cards are refused. */
export interface ChatCardsSpec {
  /**
   * Secret key with the keys that sign cards, an id and at least 32 bytes in base64 a line, the newest first. A
   * changed value is in force when the kubelet has written it, without a restart.
   */
  keysSecretRef: ChatCardsKeysSecretRefSpec;
  /**
   * The backend that is told of pressed buttons. Default none, buttons do nothing. Changing it, or its secret, rolls
   * logic.
   */
  actions?: ChatCardsActionsSpec;
}

/**
 * Key of a ConfigMap in the same namespace with the rules as JSON. A changed value is in force when the kubelet has
 * written it, without a restart; one that cannot be read leaves the rules before it in force.
 */
export interface ChatPolicyConfigMapRefSpec {
  /** Name of the ConfigMap. */
  name: string;
  /** Key in the ConfigMap's data. */
  key: string;
}

/** Rules that every message passes before it is stored. Default none. */
export interface ChatPolicySpec {
  /**
   * Key of a ConfigMap in the same namespace with the rules as JSON. A changed value is in force when the kubelet has
   * written it, without a restart; one that cannot be read leaves the rules before it in force.
   */
  configMapRef: ChatPolicyConfigMapRefSpec;
}

/**
 * Secret key with the hooks as JSON: addresses, events and the secrets that sign them. A changed value is in force
 * when the kubelet has written it, without a restart.
 */
export interface ChatHooksSecretRefSpec {
  /** Name of the Secret. */
  name: string;
  /** Key in the Secret's data. */
  key: string;
}

/**
 * Backends of the shop that are asked about messages before they are stored, and told of what happens. Default none.
 */
export interface ChatHooksSpec {
  /**
   * Secret key with the hooks as JSON: addresses, events and the secrets that sign them. A changed value is in force
   * when the kubelet has written it, without a restart.
   */
  secretRef: ChatHooksSecretRefSpec;
}

/**
 * What clients may do with messages that are sent, what is looked at before, and which backends of the shop are told.
 */
export interface ChatSpec {
  /**
   * How long after it was sent its sender may recall a message, 0s (never) to 720h. Default 2m. Changing it rolls
   * logic.
   */
  recallWindow: string;
  /**
   * How long after it was sent its sender may edit a message, 0s (never) to 720h. Default 15m. Changing it rolls
   * logic.
   */
  editWindow: string;
  /**
   * Members that a group may have, 2 to 20000. Default 200. With more than 200 a group is large: its messages are
   * read in the conversation and pushed to nobody. Changing it rolls logic.
   */
  maxGroupMembers: number;
  /**
   * Conversations about single things that two people may have, 1 to 10000. Default 1000. For conversations: PerItem;
   * who would begin one more is told so. Changing it rolls logic.
   */
  maxItemConversations: number;
  /**
   * PerPeer, one conversation of two people that shows what was asked about last; or PerItem, one for each thing that
   * they talk about. Default PerPeer. Changing it rolls logic; what is there stays where it is.
   */
  conversations: "PerPeer" | "PerItem";
  /** Signed cards of items, orders and offers. Default none, cards are refused. */
  cards?: ChatCardsSpec;
  /** Rules that every message passes before it is stored. Default none. */
  policy?: ChatPolicySpec;
  /**
   * Backends of the shop that are asked about messages before they are stored, and told of what happens. Default
   * none.
   */
  hooks?: ChatHooksSpec;
  /**
   * Address ranges that are not the Internet's and that webhooks may go to all the same, for backends inside: name no
   * more than those. There, and only there, http is allowed, too. Default none. Changing it rolls logic and extlogic.
   */
  webhookAllowedNetworks?: string[];
}

/** Pods with all of these labels; {} is all pods. Of this namespace, unless namespaceSelector says otherwise. */
export interface NetworkPolicyClientsFromPodSelectorSpec {
  /** Labels and their values. Default none, which is all. */
  matchLabels?: Record<string, string>;
}

/**
 * Namespaces with all of these labels, for example kubernetes.io/metadata.name and their name; {} is all namespaces.
 */
export interface NetworkPolicyClientsFromNamespaceSelectorSpec {
  /** Labels and their values. Default none, which is all. */
  matchLabels?: Record<string, string>;
}

/** Addresses outside the cluster. Addresses of pods and Services are better not named, for they change on the way. */
export interface NetworkPolicyClientsFromIpBlockSpec {
  /** A range such as 10.1.0.0/16 or fd00:1::/32. */
  cidr: string;
  /** Ranges within cidr that are not meant. Default none. */
  except?: string[];
}

/** Pods by podSelector, namespaceSelector or both, or addresses by ipBlock. */
export interface NetworkPolicyClientsFromSpec {
  /** Pods with all of these labels; {} is all pods. Of this namespace, unless namespaceSelector says otherwise. */
  podSelector?: NetworkPolicyClientsFromPodSelectorSpec;
  /**
   * Namespaces with all of these labels, for example kubernetes.io/metadata.name and their name; {} is all
   * namespaces.
   */
  namespaceSelector?: NetworkPolicyClientsFromNamespaceSelectorSpec;
  /**
   * Addresses outside the cluster. Addresses of pods and Services are better not named, for they change on the way.
   */
  ipBlock?: NetworkPolicyClientsFromIpBlockSpec;
}

/** Pods by podSelector, namespaceSelector or both, or addresses by ipBlock, and their ports. */
export interface NetworkPolicyPostgresToSpec {
  /** Pods with all of these labels; {} is all pods. Of this namespace, unless namespaceSelector says otherwise. */
  podSelector?: NetworkPolicyClientsFromPodSelectorSpec;
  /**
   * Namespaces with all of these labels, for example kubernetes.io/metadata.name and their name; {} is all
   * namespaces.
   */
  namespaceSelector?: NetworkPolicyClientsFromNamespaceSelectorSpec;
  /**
   * Addresses outside the cluster. Addresses of pods and Services are better not named, for they change on the way.
   */
  ipBlock?: NetworkPolicyClientsFromIpBlockSpec;
  /**
   * Ports on the pods or addresses themselves, not those of a Service before them. The default is that of the list.
   */
  ports?: number[];
}

/**
 * NetworkPolicies for the pods of this cluster: each of them is reached by, and reaches, only what it needs. Default
 * none; {} is enough to have them. They hold only where the network plugin enforces NetworkPolicies, and not all do.
 * Policies add up: to allow more, make another one of your own. Changing it restarts nothing.
 */
export interface NetworkPolicySpec {
  /**
   * Who may connect to the ports for clients on entries. Default everyone. Behind a load balancer or a Service that
   * hides addresses, clients come from the addresses of nodes or of the balancer.
   */
  clientsFrom?: NetworkPolicyClientsFromSpec[];
  /**
   * Who may read metrics, at port 9090 of entries, logic and extlogic. Default pods labelled app.kubernetes.io/name:
   * prometheus, in all namespaces. [] is nobody; probes of the kubelet get through all the same.
   */
  metricsFrom?: NetworkPolicyClientsFromSpec[];
  /**
   * Who may call the server API of spec.logic.serverApi. Default all pods of all namespaces, and nobody from outside;
   * every call needs an API key in any case.
   */
  apiFrom?: NetworkPolicyClientsFromSpec[];
  /**
   * Where your PostgreSQL is; required with spec.postgres.urlSecretRef, without meaning for the embedded one. For a
   * database outside the cluster name the range of its addresses, for they change when it fails over. Default port
   * 5432.
   */
  postgresTo?: NetworkPolicyPostgresToSpec[];
  /**
   * Where your Redis is, with its Sentinels or all nodes of its cluster; required with spec.redis.urlSecretRef,
   * without meaning for the embedded one. Also for spec.redis.queueUrlSecretRef. Default port 6379.
   */
  redisTo?: NetworkPolicyPostgresToSpec[];
  /**
   * Where push providers, webhooks and hooks are, for extlogic, and for logic where it asks hooks or reports pressed
   * buttons. Default what the spec names: the Internet (no private address) at port 443 and the ports of addresses in
   * the spec, the namespaces of Services in it, and spec.chat.webhookAllowedNetworks; nothing when there is none of
   * them. Hooks at other ports have to be named here. Default port 443.
   */
  providersTo?: NetworkPolicyPostgresToSpec[];
  /**
   * Where names are asked, over UDP and TCP. Default the pods of namespace kube-system and link-local addresses
   * (node-local caches). OpenShift, and caches that answer at the address of a Service, need their own. Default port
   * 53.
   */
  dnsTo?: NetworkPolicyPostgresToSpec[];
  /**
   * Further destinations of entries, logic and extlogic, for example a collector of traces. Default none; without
   * ports, all TCP ports.
   */
  alsoTo?: NetworkPolicyPostgresToSpec[];
}

/**
 * Secret key with the headers of each request to the collector, name=value pairs with commas between them and values
 * percent-encoded, for example authorization=Bearer%20abc. Default none.
 */
export interface TracingHeadersSecretRefSpec {
  /** Name of the Secret. */
  name: string;
  /** Key in the Secret's data. */
  key: string;
}

/**
 * Some messages are followed from the sender's entry to the recipient's acknowledgement, as OpenTelemetry traces.
 * Default none, nothing is traced. Changing it, or its Secret, rolls the fleet.
 */
export interface TracingSpec {
  /**
   * Where a collector takes OTLP over HTTP, for example http://otel-collector.monitoring.svc:4318. /v1/traces is
   * added. Delivery never waits for it.
   */
  endpoint: string;
  /** Share of the messages that are traced, '0' (none) to '1' (all). Default '0.01'. */
  ratio: string;
  /** Messages that each entry traces in a second at most, 1 to 1000, whatever the ratio is. Default 20. */
  maxPerSecond: number;
  /**
   * Secret key with the headers of each request to the collector, name=value pairs with commas between them and
   * values percent-encoded, for example authorization=Bearer%20abc. Default none.
   */
  headersSecretRef?: TracingHeadersSecretRefSpec;
}

/** What the fleet should be. Every field has a default; an empty spec is a working cluster for trying out. */
export interface ImClusterSpec {
  /**
   * Version of entry, logic and extlogic, for example 0.1.0. Default: the operator's own. Changing it runs the
   * database migration, then rolls logic and extlogic, then replaces the entries (see entry.update).
   */
  version?: string;
  /**
   * Image of entry, logic, extlogic and the migration. Default: the operator's operand image; when that one is tagged
   * with a version and spec.version is set, the tag is replaced by spec.version. Changing it rolls the fleet.
   */
  image?: string;
  /**
   * Names of Secrets (type kubernetes.io/dockerconfigjson) used to pull images. Default none. Changing it rolls the
   * fleet.
   */
  imagePullSecrets?: string[];
  /**
   * While true the operator changes nothing of this cluster (no scaling, no repair, no upgrade) and shows the
   * condition Paused; running pods serve on. Default false.
   */
  paused: boolean;
  /**
   * While true all entries are drained and none is made; replicas is remembered. Logic and extlogic run on and finish
   * what waits, so waking up takes seconds. Default false.
   */
  hibernate: boolean;
  /**
   * Names of entry pods to cut off at once, without a drain: they are declared dead, their routes go, others take
   * their place. Or ["*"], which cuts off all of them and makes none until it is taken out. Default none.
   */
  fencedEntries?: string[];
  /** Entry pods hold the connections of clients. They are created and drained by the operator itself. */
  entry: EntrySpec;
  /** Logic pods log users in, persist messages and deliver them. A Deployment; they hold no state. */
  logic: LogicSpec;
  /** When a message that nobody acknowledges leads to a push. */
  delivery: DeliverySpec;
  /** How long things are kept. Old ones go a month at a time, or a few pages at a time, by the extlogic pods. */
  retention: RetentionSpec;
  /** Extlogic pods do what may be slow or late, such as push webhooks for people who are away. A Deployment. */
  extlogic: ExtlogicSpec;
  /**
   * PostgreSQL holds every message. Name your own with urlSecretRef; without it the operator runs a single embedded
   * server, which is for trying out only. The choice cannot change later.
   */
  postgres: PostgresSpec;
  /**
   * Redis holds only hints (who is on which entry); losing it loses no message. Name your own with urlSecretRef;
   * without it the operator runs a single embedded server.
   */
  redis: RedisSpec;
  /** The certificate that clients see on port 443. */
  tls: TlsSpec;
  /** Which tokens let users in (JWT signed with EdDSA, ES256 or RS256, or with HS256 and a shared secret). */
  auth: AuthSpec;
  /**
   * How many devices of one user may be logged in at the same time, per platform class (mobile, web, desktop, mini).
   */
  sessions: SessionsSpec;
  /** Whether clients may see who is online. Administrators may at any time. */
  presence: PresenceSpec;
  /**
   * What clients may do with messages that are sent, what is looked at before, and which backends of the shop are
   * told.
   */
  chat: ChatSpec;
  /**
   * NetworkPolicies for the pods of this cluster: each of them is reached by, and reaches, only what it needs.
   * Default none; {} is enough to have them. They hold only where the network plugin enforces NetworkPolicies, and
   * not all do. Policies add up: to allow more, make another one of your own. Changing it restarts nothing.
   */
  networkPolicy?: NetworkPolicySpec;
  /**
   * Some messages are followed from the sender's entry to the recipient's acknowledgement, as OpenTelemetry traces.
   * Default none, nothing is traced. Changing it, or its Secret, rolls the fleet.
   */
  tracing?: TracingSpec;
}

/** Entry pods in figures. */
export interface EntryStatus {
  /** Pods that serve or will serve, without those draining or terminating. */
  replicas?: number;
  /** Pods that take new clients, with those that are to go once others have taken their place. */
  ready?: number;
  /** Pods being drained. */
  draining?: number;
  /** Of replicas, those of the wanted revision. */
  updated?: number;
  /** Ready of wanted, for example 3/3. */
  summary?: string;
  /** Label selector of the pods counted in replicas; those draining do not carry its lifecycle label. */
  selector?: string;
  /** Authenticated connections on all entries, at most 10 s old. */
  sessions?: number;
  /** Wanted revision; equals label imcluster.io/revision of updated pods. */
  currentRevision?: string;
}

/** The update of the entries that waits or is under way. */
export interface UpdateStatus {
  /** Revision that is wanted. */
  revision: string;
  /** Waiting, Canary, Soaking, RollingOut or Aborted. */
  phase: string;
  /** When it was let through; with Waiting, when it came up. */
  startedAt?: string;
  /** When it came into this phase. */
  since?: string;
  /** Why it waits or was aborted, one word. */
  reason?: string;
  /** Why, one sentence. */
  message?: string;
}

/**
 * What is left to do with the entries; absent when nothing is. `kubectl im plan` says the same of a change before it
 * is made.
 */
export interface PlanStatus {
  /** What happens, a sentence each. */
  changes: string[];
  /** Sessions that have yet to reconnect. */
  sessionsAffected: number;
  /** How long it takes, without waits for approval. */
  estimatedSeconds: number;
  /** Reconnects per second at the worst. */
  peakReconnectsPerSecond: number;
  /** A person must agree first: see the condition UpdateBlocked. */
  needsApproval: boolean;
}

/** What autoscaling decided; absent without spec.entry.autoscaling. */
export interface AutoscalingStatus {
  /** Entries wanted now. */
  desired?: number;
  /** More would be wanted, but max does not allow it. */
  limited?: boolean;
  /** When desired last changed. */
  lastScale?: string;
  /** Share of the connections of ready entries that is free. */
  freeConnectionsPercent?: number;
}

/** What was found when routes were last compared with the entry pods that exist. */
export interface RouterStatus {
  /** A logic pod answered the last time. */
  connected?: boolean;
  /** Routes of entries that no longer exist, which could not be removed yet. */
  ghostRoutes?: number;
  /** When they were last compared, at most 10 min too old. */
  lastAudit?: string;
}

/** What the network did with the last entry that was drained, from when its pod was not ready any more. */
export interface DataPlaneStatus {
  /** The entry. */
  pod: string;
  /** Half of its connections or more were cut before any client was asked to move. */
  cutsOnUnready: boolean;
  /** New connections reached it for so long. */
  detachSeconds: number;
  /** When that was known. */
  probedAt: string;
}

/** Pods in figures. */
export interface LogicStatus {
  /** Pods wanted. */
  replicas?: number;
  /** Pods ready. */
  ready?: number;
  /** Ready of wanted, for example 2/2. */
  summary?: string;
}

/** One entry pod. */
export interface PodStatus {
  /** UID of the pod. */
  uid: string;
  /** Name of the pod. */
  name: string;
  /** Node it runs on. */
  node?: string;
  /** Its revision. */
  revision?: string;
  /** Pending, Starting, Ready, NotReady, Terminating, Failed, or the phase of its drain. */
  state: string;
  /** Authenticated connections, when known. */
  sessions?: number;
  /** Restarts of its container. */
  restarts?: number;
  /** What is wrong with it. */
  message?: string;
}

/** One drain. */
export interface DrainStatus {
  /** Id of the drain. */
  id: string;
  /** Name of the pod. */
  pod: string;
  /** UID of the pod. */
  podUID?: string;
  /** ScaleDown, Update, NodeDrain, Evicted, Manual, Fenced, PodDeleted, Failed or NodeLost. */
  reason?: string;
  /** Planned, Cordoned, LbDetaching, Draining, Forcing, Purging, Verifying, Released or Aborted. */
  phase: string;
  /** When it began. */
  startedAt?: string;
  /** When the present phase ends at the latest. */
  deadline?: string;
  /** When the pod was released. */
  finishedAt?: string;
  /** Connections left when last seen. */
  remaining?: number;
  /** No client was told anything yet. */
  abortable?: boolean;
  /** Clients that all drains together may ask per second, at present. */
  ratePerSecond?: number;
  /** About so long until its pod is let go, if nobody suffers from it. */
  etaSeconds?: number;
  /** Sessions when clients began to be asked. */
  initial?: number;
  /** Sessions that were asked to reconnect. */
  asked?: number;
  /** Sessions that were closed at the deadline. */
  forced?: number;
  /** Of those asked or closed, how many were seen at another entry. */
  returned?: number;
  /** Of those asked or closed, how many were nowhere at the end: the app was closed, or the phone is away. */
  absent?: number;
  /** Half of those that returned were without a connection for at most this long; 0 for moves that overlap. */
  offlineP50Ms?: number;
  /** 99 of 100 of them for at most this long. */
  offlineP99Ms?: number;
  /** Routes that still pointed at the pod when counted for the second time: 0. */
  routesLeft?: number;
}

/** One aspect of the state. */
export interface ConditionStatus {
  /** Name of the aspect. */
  type: string;
  /** True, False or Unknown. */
  status: "True" | "False" | "Unknown";
  /** One CamelCase word for programs. */
  reason: string;
  /** One sentence for people. */
  message: string;
  /** When status last changed. */
  lastTransitionTime: string;
  /** metadata.generation it is about. */
  observedGeneration?: number;
}

/** What the operator last saw. Written by the operator only. */
export interface ImClusterStatus {
  /** metadata.generation that this status is about. */
  observedGeneration?: number;
  /**
   * Pending, Ready, Scaling, Updating, Degraded, Hibernated, Paused or Deleting. For people; programs read the
   * conditions.
   */
  phase?: string;
  /** One sentence that says why. */
  phaseReason?: string;
  /** Version of the wanted pods. */
  version?: string;
  /** Image of the wanted pods. */
  image?: string;
  /** First address where clients connect, on port 443. */
  address?: string;
  /** All addresses of the entry Service. */
  addresses?: string[];
  /** Entry pods in figures. */
  entry?: EntryStatus;
  /** The update of the entries that waits or is under way. */
  update?: UpdateStatus;
  /**
   * What is left to do with the entries; absent when nothing is. `kubectl im plan` says the same of a change before
   * it is made.
   */
  plan?: PlanStatus;
  /** What autoscaling decided; absent without spec.entry.autoscaling. */
  autoscaling?: AutoscalingStatus;
  /** What was found when routes were last compared with the entry pods that exist. */
  router?: RouterStatus;
  /** What the network did with the last entry that was drained, from when its pod was not ready any more. */
  dataPlane?: DataPlaneStatus;
  /** Pods in figures. */
  logic?: LogicStatus;
  /** Pods in figures. */
  extlogic?: LogicStatus;
  /** Entry pods, at most 50, worst first. */
  pods?: PodStatus[];
  /** The last 20 drains, newest first. */
  drains?: DrainStatus[];
  /**
   * Ready, Progressing, Degraded, EntriesReady, LogicReady, StoreReady, RouterReady, RouterConsistent,
   * LoadBalancerReady, DataPlaneSafe, SchemaMigrated, EmbeddedDatastores, UpdateBlocked, ScalingLimited, Hibernated,
   * DrainVerified and Paused.
   */
  conditions?: ConditionStatus[];
}
