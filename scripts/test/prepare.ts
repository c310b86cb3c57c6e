// SPDX-License-Identifier: Apache-2.0
import { ensureSchemathesis } from "../../e2e/security/schemathesis.ts";
import { ensureAptPackages } from "../cluster/apt.ts";
import { createProgress } from "../cluster/progress.ts";
import { ensureBinaries } from "../cluster/toolchain.ts";

/** What a suite needs on the machine before its first test starts: its own bounds are for tests, not for builds. */
export interface Needs {
  aptPackages: readonly string[];
  binaries: readonly string[];
  /** Programs in Python environments of their own. */
  pythonTools?: readonly "schemathesis"[];
}

const API_SERVER = ["etcd", "kube-apiserver"];
const BROWSER = ["chromium", "fonts-wqy-zenhei", "fonts-noto-color-emoji"];
/** Networks of namespaces, whose links are cut. */
const NETWORK = ["iproute2", "iptables"];
const SERVERS: Needs = { aptPackages: ["redis-server", "openssl"], binaries: [] };

/** By suite. The cluster suite's bring-up installs and builds the rest by itself. */
export const NEEDS: Readonly<Record<string, Needs>> = {
  unit: { aptPackages: ["redis-server", "openssl", "chromium"], binaries: [] },
  int: { ...SERVERS, aptPackages: [...SERVERS.aptPackages, ...NETWORK], binaries: API_SERVER },
  process: { ...SERVERS, aptPackages: [...SERVERS.aptPackages, ...NETWORK, ...BROWSER], pythonTools: ["schemathesis"] },
  operator: { aptPackages: ["openssl"], binaries: [...API_SERVER, "kubectl", "helm"] },
  charts: { aptPackages: ["openssl", "gnupg"], binaries: [...API_SERVER, "kubectl", "helm", "crane"] },
  // promtool
  alerts: { aptPackages: ["prometheus"], binaries: [] },
  dashboards: { ...SERVERS, aptPackages: [...SERVERS.aptPackages, "prometheus"] },
  docs: { aptPackages: ["openssl"], binaries: [...API_SERVER, "kubectl", "helm"] },
  cluster: {
    aptPackages: [...BROWSER, "prometheus"],
    binaries: [
      ...API_SERVER,
      "kube-controller-manager",
      "kube-scheduler",
      "kubelet",
      "kube-proxy",
      "containerd",
      "containerd-shim-runc-v2",
      "ctr",
      "coredns",
      "pause",
      "kubectl",
      "helm",
    ],
  },
};

/** Installs packages and builds programs for these suites; everything is cached. Shows progress. */
export async function prepare(suites: readonly string[]): Promise<void> {
  const progress = createProgress();
  const needs = suites.map((suite) => NEEDS[suite]).filter((need) => need !== undefined);
  const unique = (lists: readonly (readonly string[])[]): string[] => [...new Set(lists.flat())];
  const packages = unique(needs.map((need) => need.aptPackages));
  if (packages.length > 0) await ensureAptPackages(packages, { progress });
  await ensureBinaries(unique(needs.map((need) => need.binaries)), { progress });
  if (needs.some((need) => need.pythonTools?.includes("schemathesis"))) await ensureSchemathesis({ progress });
}
