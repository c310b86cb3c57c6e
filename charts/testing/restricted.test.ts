// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type PodLike, podOf, restrictedFaults } from "./restricted.ts";

const pod = (change: (pod: PodLike) => void = () => undefined): PodLike => {
  const made: PodLike = {
    securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: "RuntimeDefault" } },
    containers: [
      {
        name: "a",
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        },
      },
    ],
    volumes: [{ name: "tmp", emptyDir: {} }],
  };
  change(made);
  return made;
};

const own = (change: object) => (made: PodLike) => {
  const [first] = made.containers;
  if (first) first.securityContext = { ...first.securityContext, ...change };
};

const broken: [string, (pod: PodLike) => void][] = [
  ["hostNetwork", (made) => Object.assign(made, { hostNetwork: true })],
  ["hostPID", (made) => Object.assign(made, { hostPID: true })],
  ["hostIPC", (made) => Object.assign(made, { hostIPC: true })],
  ["a: privileged", own({ privileged: true })],
  ["a: allowPrivilegeEscalation is not false", own({ allowPrivilegeEscalation: undefined })],
  ["a: readOnlyRootFilesystem is not true", own({ readOnlyRootFilesystem: undefined })],
  ["a: capabilities do not drop ALL", own({ capabilities: { drop: ["KILL"] } })],
  ["a: capability SYS_ADMIN", own({ capabilities: { drop: ["ALL"], add: ["NET_BIND_SERVICE", "SYS_ADMIN"] } })],
  ["a: procMount is Unmasked", own({ procMount: "Unmasked" })],
  ["a: runAsUser is 0", own({ runAsUser: 0 })],
  ["a: runAsNonRoot is false", own({ runAsNonRoot: false })],
  ["a: seccompProfile is Unconfined", own({ seccompProfile: { type: "Unconfined" } })],
  ["a: appArmorProfile is Unconfined", own({ appArmorProfile: { type: "Unconfined" } })],
  ["a: seLinuxOptions are its own", own({ seLinuxOptions: { type: "spc_t" } })],
  ["a: hostProcess", own({ windowsOptions: { hostProcess: true } })],
  [
    "sysctl kernel.msgmax",
    (made) => Object.assign(made.securityContext ?? {}, { sysctls: [{ name: "kernel.msgmax" }] }),
  ],
  ["a: runAsNonRoot is not true", (made) => Object.assign(made.securityContext ?? {}, { runAsNonRoot: undefined })],
  ["a: no seccompProfile", (made) => Object.assign(made.securityContext ?? {}, { seccompProfile: undefined })],
  ["runAsUser is 0", (made) => Object.assign(made.securityContext ?? {}, { runAsUser: 0 })],
  ["volume x is a hostPath", (made) => made.volumes?.push({ name: "x", hostPath: { path: "/" } })],
  ["a: hostPort 80", (made) => Object.assign(made.containers[0] ?? {}, { ports: [{ hostPort: 80 }] })],
  [
    "b: privileged",
    (made) =>
      Object.assign(made, {
        initContainers: [
          {
            ...made.containers[0],
            name: "b",
            securityContext: { ...made.containers[0]?.securityContext, privileged: true },
          },
        ],
      }),
  ],
];

describe("the restricted Pod Security Standard", () => {
  it("has nothing against a restricted pod", () => assert.deepEqual(restrictedFaults(pod()), []));
  for (const [fault, change] of broken)
    it(`notices: ${fault}`, () =>
      assert.ok(restrictedFaults(pod(change)).includes(fault), restrictedFaults(pod(change)).join()));

  it("finds the pod of every kind of workload", () => {
    const spec = pod();
    assert.equal(podOf({ kind: "Pod", spec }), spec);
    assert.equal(podOf({ kind: "Deployment", spec: { template: { spec } } }), spec);
    assert.equal(podOf({ kind: "CronJob", spec: { jobTemplate: { spec: { template: { spec } } } } }), spec);
    assert.equal(podOf({ kind: "Service", spec: { ports: [] } }), undefined);
    assert.equal(podOf({ kind: "Secret" }), undefined);
  });
});
