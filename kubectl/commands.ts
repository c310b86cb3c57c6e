// SPDX-License-Identifier: Apache-2.0

export interface FlagSpec {
  name: string;
  short?: string;
  /** What stands for its value in the help; a flag without is a switch. */
  value?: string;
  /** Values that it takes; any when left out. */
  choices?: readonly string[];
  help: string;
}

export interface CommandSpec {
  /** One or two words. */
  name: string;
  summary: string;
  /** What stands behind the name, as in the help. */
  arguments: readonly { name: string; isOptional?: boolean; choices?: readonly string[] }[];
  flags: readonly FlagSpec[];
  /** What the command does that its summary does not say, and an example. */
  more: string;
  /** Rights in the cluster's namespace, for the help and the documentation. */
  rights: readonly string[];
}

/** Every command takes them. */
export const GLOBAL_FLAGS: readonly FlagSpec[] = [
  { name: "namespace", short: "n", value: "NAMESPACE", help: "namespace of the ImCluster; default: the context's" },
  { name: "context", value: "NAME", help: "context of the kubeconfig; default: its current one" },
  { name: "kubeconfig", value: "FILE", help: "default: KUBECONFIG, else ~/.kube/config" },
  { name: "output", short: "o", value: "FORMAT", choices: ["text", "json", "yaml"], help: "text, json or yaml" },
  { name: "timeout", value: "TIME", help: "for each request, such as 30s; default 10s" },
  { name: "color", value: "WHEN", choices: ["auto", "always", "never"], help: "auto: on a terminal without NO_COLOR" },
  { name: "help", short: "h", help: "this text" },
];

const NAME = { name: "NAME", isOptional: true } as const;
const CLUSTER: FlagSpec = {
  name: "cluster",
  short: "c",
  value: "NAME",
  help: "the ImCluster, where there are several",
};
const SINCE: FlagSpec = { name: "since", value: "TIME", help: "only what is newer, such as 10m" };

const WAIT: FlagSpec = { name: "wait", help: "stay until it is done" };

const READ_CLUSTER = "get, list imclusters";
const PATCH_POD = "get, list, patch pods; with --wait get imclusters";
const EXEC = "list pods; get, create pods/exec";

export const COMMANDS: readonly CommandSpec[] = [
  {
    name: "status",
    summary: "the fleet at a glance: phase, conditions, pods, drains, address, certificate",
    arguments: [NAME],
    flags: [],
    more: "What may not be read is named, and left out.",
    rights: [READ_CLUSTER, "get secrets (certificate)", "list events"],
  },
  {
    name: "plan",
    summary: "what an edit would do, before it is applied",
    arguments: [],
    flags: [{ name: "filename", short: "f", value: "FILE", help: "manifest with the ImCluster; - reads the input" }],
    more: "The API server checks the edit and fills in its defaults; nothing is kept. Example: kubectl im plan -f demo.yaml",
    rights: ["get, create, patch imclusters", "list pods"],
  },
  {
    name: "drain",
    summary: "empty an entry pod: its clients move to others, then it is replaced",
    arguments: [{ name: "POD" }],
    flags: [WAIT, { name: "cancel", help: "take the request back, while that is possible" }],
    more: "Another pod comes first, then the same drain as at a scale-down. --cancel works until clients are told to move.",
    rights: [PATCH_POD],
  },
  {
    name: "cordon",
    summary: "no new connections to an entry pod; open ones stay",
    arguments: [{ name: "POD" }],
    flags: [WAIT],
    more: "`kubectl im uncordon POD` takes it back. The pod counts as one of those wanted: nothing comes in its place.",
    rights: [PATCH_POD],
  },
  {
    name: "uncordon",
    summary: "let new connections reach an entry pod again",
    arguments: [{ name: "POD" }],
    flags: [WAIT],
    more: "Takes back `kubectl im cordon`.",
    rights: [PATCH_POD],
  },
  {
    name: "fence",
    summary: "an entry pod is dead from now on: nothing is routed to it, and it is replaced",
    arguments: [{ name: "POD" }],
    flags: [WAIT, { name: "yes", help: "do it without asking" }],
    more: "For a pod that does harm. Its name goes into spec.fencedEntries. Clients are cut and log in elsewhere; no acknowledged message is lost.",
    rights: ["get, list pods; get, list, patch imclusters"],
  },
  {
    name: "route",
    summary: "where a user is: devices, entries, connections",
    arguments: [{ name: "USER" }],
    flags: [CLUSTER],
    more: "Asks a logic pod, by a program in it. A USER of a tenant is TENANT/ID, here and elsewhere.",
    rights: [READ_CLUSTER, EXEC],
  },
  {
    name: "kick",
    summary: "close a user's sessions",
    arguments: [{ name: "USER" }],
    flags: [
      CLUSTER,
      { name: "slot", value: "SLOT", help: "only this platform class, such as mobile" },
      { name: "reason", value: "TEXT", help: "shown to the person" },
    ],
    more: "Tokens stay good: clients do not come back by themselves, a person can log in again.",
    rights: [READ_CLUSTER, EXEC],
  },
  {
    name: "trace",
    summary: "what became of a message: stored, in whose inbox, on which devices, pushed",
    arguments: [{ name: "MESSAGE" }],
    flags: [CLUSTER, { name: "user", value: "USER", help: "who sent it or should have it" }],
    more:
      "MESSAGE is the id that the server gave (then USER is anybody who should have it, among the last 20,000 messages of the inbox), " +
      "or the one that the sender gave (then USER is the sender; kept as long as resends are recognised). Never shows the content.",
    rights: [READ_CLUSTER, EXEC],
  },
  {
    name: "admin",
    summary: "a way to the admin page, from this machine",
    arguments: [NAME],
    flags: [{ name: "port", value: "PORT", help: "of this machine; default 8090, 0: any that is free" }],
    more: "Opens it by `kubectl port-forward`, prints the address and how a key is made, and stays until Ctrl-C. Needs `spec.logic.serverApi`.",
    rights: [READ_CLUSTER, "get services; list pods; create pods/portforward"],
  },
  {
    name: "doctor",
    summary: "connects as clients do, says what is wrong and how to cure it",
    arguments: [NAME],
    flags: [
      { name: "server", value: "HOST[:PORT]", help: "instead of the address of the Service" },
      { name: "server-name", value: "NAME", help: "name that the certificate must have; default: the host" },
      {
        name: "ca",
        value: "FILE",
        help: "authority of the certificate; default: the generated one, else the usual ones",
      },
      { name: "token-file", value: "FILE", help: "token to log in with; default: the generated key signs one" },
      { name: "insecure", help: "send the token also where the certificate is not trusted" },
      { name: "cordon-canary", help: "cordon one entry and watch what that does to connections" },
    ],
    more:
      "With --server it needs no Kubernetes. --cordon-canary shows whether the network cuts connections of a pod that is not ready, " +
      "and for how long new ones still arrive; it ends by taking the cordon back. With --server, too, it cordons an entry of the ImCluster NAME.",
    rights: [READ_CLUSTER, "get secrets (authority, key)", `--cordon-canary: ${PATCH_POD}`],
  },
  {
    name: "logs",
    summary: "logs of all pods, merged by time",
    arguments: [NAME],
    flags: [
      SINCE,
      { name: "follow", short: "f", help: "go on with what comes" },
      { name: "tail", value: "LINES", help: "lines of each container to begin with; default 50, with --since all" },
      { name: "level", value: "LEVEL", choices: ["debug", "info", "warn", "error"], help: "only this level and above" },
      {
        name: "component",
        value: "WHICH",
        choices: ["entry", "logic", "extlogic", "postgres", "redis", "migrate"],
        help: "only pods of this component",
      },
    ],
    more: "-o json prints each line as an object with its pod. Example: kubectl im logs --since 10m --level warn",
    rights: [READ_CLUSTER, "list pods; get pods/log"],
  },
  {
    name: "report",
    summary: "objects, status, events and logs in one archive, without secrets",
    arguments: [NAME],
    flags: [SINCE, { name: "file", value: "FILE", help: "default: im-report-NAME-TIME.tar.gz here" }],
    more: "Values of Secrets never get in: they are replaced wherever they occur, logs included.",
    rights: [READ_CLUSTER, "list what the operator makes; get secrets; get pods/log; list events"],
  },
  {
    name: "install generate",
    summary: "the manifests of the operator, for kubectl apply",
    arguments: [],
    flags: [
      { name: "image", value: "IMAGE", help: "image of the operator and the fleet" },
      { name: "watch", value: "NAMESPACES", help: "only these, by comma; default: all" },
      { name: "chart", value: "FOLDER", help: "default: the chart of this version" },
    ],
    more: "Renders the chart by helm, which must be on PATH. Example: kubectl im install generate -n imcluster-system | kubectl apply -f -",
    rights: [],
  },
  {
    name: "completion",
    summary: "completion for a shell",
    arguments: [{ name: "SHELL", choices: ["bash", "zsh", "fish"] }],
    flags: [],
    more: 'Example: source <(kubectl-im completion bash). kubectl itself completes "kubectl im" by the program kubectl_complete-im.',
    rights: [],
  },
  {
    name: "version",
    summary: "of this program, and of the fleet",
    arguments: [NAME],
    flags: [{ name: "client", help: "only of this program" }],
    more: "",
    rights: [READ_CLUSTER],
  },
  {
    name: "help",
    summary: "this text, or that of a command",
    arguments: [{ name: "COMMAND", isOptional: true }],
    flags: [],
    more: "",
    rights: [],
  },
];

export function findCommand(name: string): CommandSpec | undefined {
  return COMMANDS.find((command) => command.name === name);
}
