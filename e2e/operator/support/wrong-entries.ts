// SPDX-License-Identifier: Apache-2.0
import type { Wrong } from "./wrong-specs.ts";

const entry = (fields: object) => ({ entry: fields });
const service = (fields: object) => entry({ service: fields });
const template = (fields: object) => entry({ podTemplate: fields });

/** How entries listen, drain, and are made. */
export const WRONG_ENTRIES: readonly Wrong[] = [
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
    what: "load balancer that is waited for by a word",
    spec: entry({ drain: { lbDetach: "auto" } }),
    field: "spec.entry.drain.lbDetach",
    remedy: /such as 2s or 5m, or Auto/,
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
  { what: "unknown field", spec: entry({ replica: 3 }), field: "spec.entry.replica", remedy: /unknown field/ },
];
