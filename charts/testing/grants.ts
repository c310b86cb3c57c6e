// SPDX-License-Identifier: Apache-2.0
// Pure: what a rendered chart lets the operator's account do, and what no rule of its may ever say.
import type { Manifest } from "./helm.ts";

export interface Rule {
  apiGroups?: string[];
  resources?: string[];
  verbs: string[];
  /** Only objects of these names. */
  resourceNames?: string[];
  nonResourceURLs?: string[];
}

export interface Grant {
  verb: string;
  group: string;
  resource: string;
}

interface Binding extends Manifest {
  roleRef: { kind: string; name: string };
  subjects?: { kind: string; name: string }[];
}

/** `patch apps/deployments`; the core group is empty. */
export const phraseOf = ({ verb, group, resource }: Grant): string => `${verb} ${group}/${resource}`;

/** Roles, and what binds them to service accounts: what the operator may do. */
export function boundRoles(manifests: readonly Manifest[]): { roles: Manifest[]; bindings: Binding[] } {
  const bindings = manifests.filter(({ kind }) => kind.endsWith("RoleBinding")) as Binding[];
  const isBound = ({ kind, metadata }: Manifest) =>
    bindings.some(
      ({ roleRef, metadata: { namespace } }) =>
        roleRef.kind === kind &&
        roleRef.name === metadata.name &&
        (kind === "ClusterRole" || namespace === metadata.namespace),
    );
  return { roles: manifests.filter(isBound), bindings };
}

export function grantsOf(rules: readonly Rule[]): string[] {
  const all = rules.flatMap(({ apiGroups = [], resources = [], verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) => verbs.map((verb) => phraseOf({ verb, group, resource }))),
    ),
  );
  return [...new Set(all)].sort();
}

const grant = (verbs: string, group: string, resources: string): Grant[] =>
  verbs.split(" ").flatMap((verb) => resources.split(" ").map((resource) => ({ verb, group, resource })));

/** What would make more of a stolen token of the operator than a broken fleet. */
export const FORBIDDEN: readonly Grant[] = [
  ...grant("list watch delete deletecollection update", "", "secrets"),
  ...grant("list watch delete deletecollection", "", "configmaps"),
  ...grant("create get", "", "pods/exec pods/attach pods/portforward pods/proxy"),
  ...grant("patch update", "", "pods/ephemeralcontainers"),
  ...grant("create", "", "pods/eviction serviceaccounts/token namespaces persistentvolumes"),
  ...grant("deletecollection", "", "pods"),
  ...grant("get create", "", "nodes/proxy services/proxy"),
  ...grant("create patch update delete", "", "nodes"),
  ...grant("impersonate", "", "users groups serviceaccounts"),
  ...grant("bind escalate create patch update", "rbac.authorization.k8s.io", "roles clusterroles"),
  ...grant("create patch update", "rbac.authorization.k8s.io", "rolebindings clusterrolebindings"),
  ...grant("create patch update delete", "apiextensions.k8s.io", "customresourcedefinitions"),
  ...grant("create delete", "admissionregistration.k8s.io", "validatingwebhookconfigurations"),
  ...grant("create patch", "admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
  ...grant("approve sign", "certificates.k8s.io", "signers"),
  ...grant("create delete", "imcluster.io", "imclusters"),
];

/** Allowed on objects of a name, and nowhere else. */
const ONLY_NAMED: readonly Grant[] = [
  ...grant("get patch", "admissionregistration.k8s.io", "validatingwebhookconfigurations"),
];

function covers({ apiGroups = [], resources = [], verbs }: Rule, { verb, group, resource }: Grant): boolean {
  const has = (list: readonly string[], one: string) => list.includes(one) || list.includes("*");
  const [parent, sub] = resource.split("/");
  const isResource =
    has(resources, resource) ||
    (sub !== undefined && resources.some((one) => one === `*/${sub}` || one === `${parent}/*`));
  return has(verbs, verb) && has(apiGroups, group) && isResource;
}

/** What is wrong with the rules; none: nothing. */
export function forbiddenIn(rules: readonly Rule[]): string[] {
  return rules.flatMap((rule) => [
    ...[rule.verbs, rule.resources ?? [], rule.apiGroups ?? []]
      .flat()
      .filter((one) => one.includes("*"))
      .map((one) => `wildcard ${one}`),
    ...(rule.nonResourceURLs ?? []).map((url) => `path ${url}`),
    ...FORBIDDEN.filter((one) => covers(rule, one)).map(phraseOf),
    ...(rule.resourceNames
      ? []
      : ONLY_NAMED.filter((one) => covers(rule, one)).map((one) => `${phraseOf(one)} of any name`)),
  ]);
}

/** An entry of the API server's audit log. */
export interface AuditEvent {
  verb: string;
  objectRef?: { apiGroup?: string; resource: string; subresource?: string };
  responseStatus?: { code?: number };
}

/** What was asked for and allowed. An apply that makes its object needs the right to create as well, which the log does not name. */
export function usedIn(events: readonly AuditEvent[]): string[] {
  const used = events.flatMap(({ verb, objectRef, responseStatus: { code = 0 } = {} }) => {
    if (!objectRef) return [];
    const { apiGroup: group = "", resource: plural, subresource } = objectRef;
    const resource = subresource ? `${plural}/${subresource}` : plural;
    return (verb === "patch" && code === 201 ? ["patch", "create"] : [verb]).map((one) =>
      phraseOf({ verb: one, group, resource }),
    );
  });
  return [...new Set(used)].sort();
}
