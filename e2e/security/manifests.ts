// SPDX-License-Identifier: Apache-2.0
// What can be said of the product without running a fleet: its pods, its rights, its network and its packages.
import { allPods } from "../../charts/testing/all-pods.ts";
import { boundRoles, FORBIDDEN, forbiddenIn, grantsOf } from "../../charts/testing/grants.ts";
import { type Manifest, render } from "../../charts/testing/helm.ts";
import { tryPods } from "../../charts/testing/pod-trials.ts";
import { NETWORK_TABLE, type Row } from "../../operator/imcluster/testing/network-table.ts";
import { FLEET, reachOf, weakened } from "../../operator/imcluster/testing/network-world.ts";
import { bundlePrograms } from "../../scripts/bundle/bundle.ts";
import { installedPackages, readLock, type Shipped, shippedPackages } from "../../scripts/release/lock.ts";
import { startImApiServer } from "../operator/support/shared-api-server.ts";
import { type Check, check } from "./checks.ts";

export interface Looked {
  checks: Check[];
  figures: Record<string, number>;
}

/** At most so many packages of others were wished for; docs/adr/0053 says why there are more. */
const WISHED_PACKAGES = 40;

/** Every pod, whole and weakened, before a real API server. */
export async function lookAtPods(): Promise<Looked> {
  const server = await startImApiServer();
  try {
    const { taken, refused, faults } = await tryPods(server, await allPods());
    return {
      checks: [check("pods: restricted, and refused when weakened", "high", faults.join("; "), taken.join(", "))],
      figures: { podKinds: taken.length, weakPodsRefused: refused },
    };
  } finally {
    await server.stop();
  }
}

/** What the operator's account may do. That all of it is used is a test with the API server's audit log. */
export async function lookAtRights(): Promise<Looked> {
  return judgeRights(await render("im-operator"));
}

/** @param manifests what the chart of the operator makes */
export function judgeRights(manifests: readonly Manifest[]): Looked {
  const { roles } = boundRoles(manifests);
  const rules = roles.flatMap(({ rules = [] }) => rules);
  const granted = grantsOf(rules).length;
  const fault = granted === 0 ? "no right is rendered" : forbiddenIn(rules).join("; ");
  return {
    checks: [check("rbac: nothing that is forbidden is granted", "high", fault, `${granted} rights`)],
    figures: { rightsGranted: granted, rightsForbidden: FORBIDDEN.length },
  };
}

/** Who reaches whom by the NetworkPolicies, and whether the table would notice a weaker one. */
export function lookAtNetwork(table: readonly Row[] = NETWORK_TABLE): Looked {
  const looked = table.map(({ what, policies, expected }) => {
    const { allowed, cells, ends } = reachOf(policies, FLEET);
    const changes = weakened(policies);
    const unseen = changes
      .filter((change) => reachOf(change.policies, FLEET).ends === ends)
      .map((change) => change.what);
    const differ = [
      ...allowed.filter((one) => !expected.includes(one)).map((one) => `${one} gets through`),
      ...expected.filter((one) => !allowed.includes(one)).map((one) => `${one} does not get through`),
    ];
    return { what, cells, allowed: allowed.length, changes: changes.length, unseen, differ };
  });
  const sum = (of: (one: (typeof looked)[number]) => number) => looked.reduce((total, one) => total + of(one), 0);
  return {
    checks: looked.flatMap(({ what, differ, unseen, cells }) => [
      check(`network: exactly what is needed: ${what}`, "high", differ.join("; "), `${cells} pairs at ports`),
      check(`network: a weaker policy is noticed: ${what}`, "medium", unseen.join("; ")),
    ]),
    figures: {
      networkPairs: sum(({ cells }) => cells),
      networkAllowed: sum(({ allowed }) => allowed),
      networkPoliciesWeakened: sum(({ changes }) => changes),
    },
  };
}

/** How much code of others is shipped, and whether any of it wants to run when it is installed. */
export async function lookAtPackages(): Promise<Looked> {
  const lock = readLock();
  const { packages } = await bundlePrograms();
  return judgePackages(shippedPackages(lock, packages), installedPackages(lock));
}

/**
 * @param packages of which some code is in the image
 * @param installed packages that npm installs for it
 */
export function judgePackages(packages: readonly Shipped[], installed: number): Looked {
  const scripts = packages.filter(({ hasInstallScript }) => hasInstallScript).map(({ name }) => name);
  const tooMany =
    packages.length > WISHED_PACKAGES ? `${packages.length}, ${WISHED_PACKAGES} were wished for` : undefined;
  const unproven = packages.filter(({ integrity }) => !integrity?.startsWith("sha512-")).map(({ name }) => name);
  return {
    checks: [
      check("packages: every one has a SHA-512", "high", unproven.join(", "), `${packages.length} packages`),
      check("packages: no more than were wished for", "low", tooMany),
      check(
        "packages: none has an installation script",
        "low",
        scripts.length > 0 ? `${scripts.join(", ")}: never run` : undefined,
      ),
    ],
    figures: {
      packages: packages.length,
      packagesInstalled: installed,
      packagesWished: WISHED_PACKAGES,
      installScripts: scripts.length,
    },
  };
}
