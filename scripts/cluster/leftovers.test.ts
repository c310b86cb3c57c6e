// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { droppingChains, ownRules } from "./firewall.ts";
import { ownLinks } from "./leftovers.ts";
import { parseMountInfo } from "./mounts.ts";
import { isClusterCommand } from "./own-processes.ts";

const ROOTS = { bin: "/home/a/.cache/imcluster/bin", cluster: "/home/a/.cache/imcluster/cluster", run: "/run/imc" };

describe("isClusterCommand", () => {
  const cases: [string, boolean, string][] = [
    [`${ROOTS.bin}/etcd-v3/etcd --data-dir=${ROOTS.cluster}/etcd`, true, "etcd of the cluster"],
    [`${ROOTS.bin}/etcd-v3/etcd --data-dir=/tmp/imc-operator-test`, false, "etcd of a test"],
    [
      `${ROOTS.bin}/containerd-v2/containerd-shim-runc-v2 -namespace k8s.io -address /run/imc/n1/containerd.sock`,
      true,
      "a shim",
    ],
    [
      "/usr/bin/containerd-shim-runc-v2 -namespace moby -address /run/containerd/containerd.sock",
      false,
      "Docker's shim",
    ],
    [`/usr/bin/node /src/scripts/cluster/daemon/main.ts ${ROOTS.cluster}`, true, "the daemon"],
    [
      "/usr/bin/node /src/scripts/cluster/daemon/main.ts /home/b/.cache/imcluster/cluster",
      false,
      "another user's daemon",
    ],
    [`tail -f ${ROOTS.cluster}/log/etcd.log`, false, "a person who reads a log"],
    [
      `${ROOTS.bin}/lambda/kubectl --kubeconfig=${ROOTS.cluster}-other/kubeconfig get pods`,
      false,
      "a folder with a longer name",
    ],
  ];
  for (const [command, expected, what] of cases) {
    it(`${expected ? "takes" : "leaves"} ${what}`, () =>
      assert.equal(isClusterCommand(command.split(" "), ROOTS), expected));
  }

  it("leaves kernel threads, which have no command line", () => assert.equal(isClusterCommand([], ROOTS), false));
});

describe("ownLinks", () => {
  it("finds our bridge and links, and no other", () => {
    const listing = `1: lo: <LOOPBACK,UP> mtu 65536
7: imc0: <BROADCAST,UP> mtu 1500
9: imcv1@if2: <BROADCAST,UP> mtu 1500 master imc0
11: imcv10@if2: <BROADCAST,UP> mtu 1500
12: docker0: <BROADCAST> mtu 1500 alias imc0
`;
    assert.deepEqual(ownLinks(listing), ["imc0", "imcv1"]);
  });
});

describe("parseMountInfo", () => {
  it("reads paths with escapes, types and propagation", () => {
    const text = `27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
93 27 0:39 / /run/imc rw,relatime - tmpfs imcluster rw
94 27 0:40 / /mnt/a\\040b rw master:2 - xfs /dev/sdb rw
`;
    assert.deepEqual(parseMountInfo(text), [
      { path: "/", type: "ext4", isShared: true },
      { path: "/run/imc", type: "tmpfs", isShared: false },
      { path: "/mnt/a b", type: "xfs", isShared: false },
    ]);
  });
});

describe("host firewall", () => {
  const docker = `-P INPUT ACCEPT
-P FORWARD DROP
-P OUTPUT ACCEPT
-A FORWARD -i imc0 -o imc0 -m comment --comment imcluster-local-cluster -j ACCEPT
-A FORWARD -j DOCKER-USER
`;

  it("sees which chains drop by default", () => {
    assert.deepEqual(droppingChains(docker), ["FORWARD"]);
    assert.deepEqual(droppingChains("-P INPUT ACCEPT\n-P FORWARD ACCEPT\n"), []);
  });

  it("tells our rules from others", () => {
    assert.deepEqual(
      ownRules(docker).map((rule) => rule.slice(0, 30)),
      ["-A FORWARD -i imc0 -o imc0 -m "],
    );
    assert.deepEqual(ownRules(""), []);
  });
});
