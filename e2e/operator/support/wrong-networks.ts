// SPDX-License-Identifier: Apache-2.0
import { ref } from "./sample-ref.ts";
import type { Wrong } from "./wrong-specs.ts";

const policy = (networkPolicy: object) => ({ networkPolicy });
const peer = (one: object) => policy({ clientsFrom: [one] });

/** What concerns NetworkPolicies. */
export const WRONG_NETWORKS: readonly Wrong[] = [
  {
    what: "network policies of which nobody knows where PostgreSQL is",
    spec: { ...policy({}), postgres: { urlSecretRef: ref } },
    field: "spec.networkPolicy.postgresTo",
    remedy: /say where your PostgreSQL is/,
  },
  {
    what: "network policies of which nobody knows where Redis is",
    spec: { ...policy({}), redis: { urlSecretRef: ref } },
    field: "spec.networkPolicy.redisTo",
    remedy: /say where your Redis is/,
  },
  {
    what: "a peer of nobody",
    spec: peer({}),
    field: "spec.networkPolicy.clientsFrom[0]",
    remedy: /either ipBlock, or/,
  },
  {
    what: "a peer by labels and address",
    spec: peer({ podSelector: {}, ipBlock: { cidr: "10.0.0.0/8" } }),
    field: "spec.networkPolicy.clientsFrom[0]",
    remedy: /either ipBlock, or podSelector/,
  },
  {
    what: "a destination by labels and address",
    spec: policy({ alsoTo: [{ namespaceSelector: {}, ipBlock: { cidr: "10.0.0.0/8" } }] }),
    field: "spec.networkPolicy.alsoTo[0]",
    remedy: /either ipBlock, or podSelector/,
  },
  {
    what: "an address without a range",
    spec: peer({ ipBlock: { cidr: "10.0.0.1" } }),
    field: "spec.networkPolicy.clientsFrom[0].ipBlock.cidr",
    remedy: /address ranges such as/,
  },
  {
    what: "an exception from elsewhere",
    spec: peer({ ipBlock: { cidr: "10.0.0.0/16", except: ["10.1.0.0/24"] } }),
    field: "spec.networkPolicy.clientsFrom[0].ipBlock",
    remedy: /within ipBlock.cidr and be smaller/,
  },
  {
    what: "an exception of everything",
    spec: peer({ ipBlock: { cidr: "10.0.0.0/16", except: ["10.0.0.0/16"] } }),
    field: "spec.networkPolicy.clientsFrom[0].ipBlock",
    remedy: /within ipBlock.cidr and be smaller/,
  },
  {
    what: "an exception that is no range",
    spec: peer({ ipBlock: { cidr: "10.0.0.0/16", except: ["a"] } }),
    field: "spec.networkPolicy.clientsFrom[0].ipBlock.except[0]",
    remedy: /address ranges such as/,
  },
  {
    what: "a label with a space",
    spec: peer({ podSelector: { matchLabels: { "a b": "c" } } }),
    field: "matchLabels",
    remedy: /names of labels, for example/,
  },
  {
    what: "a label's value with a slash",
    spec: peer({ namespaceSelector: { matchLabels: { a: "b/c" } } }),
    field: "matchLabels",
    remedy: /only letters, digits/,
  },
  {
    what: "port 0",
    spec: policy({ alsoTo: [{ podSelector: {}, ports: [0] }] }),
    field: "spec.networkPolicy.alsoTo[0].ports[0]",
    remedy: /between 1 and 65535/,
  },
  {
    what: "a destination of PostgreSQL that is none",
    spec: policy({ postgresTo: [] }),
    field: "spec.networkPolicy.postgresTo",
    remedy: /at least 1 items/,
  },
];
