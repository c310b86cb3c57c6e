// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { describeFault } from "../cluster/fault.ts";
import { unreachable } from "./unreachable.ts";

const CASES: readonly (readonly [kubectl: string, told: string])[] = [
  [
    'error: context "nope" does not exist\n',
    'Your kubeconfig has no context "nope".\n`kubectl config get-contexts` lists those that it has; KUBECONFIG names another file.',
  ],
  [
    "Error in configuration: context was not found for specified context: nope\n",
    'Your kubeconfig has no context "nope".\n`kubectl config get-contexts` lists those that it has; KUBECONFIG names another file.',
  ],
  [
    'error: error loading config file "/etc/passwd": couldn\'t get version/kind; json parse error\n',
    "/etc/passwd is no kubeconfig that kubectl can read.\nName another with KUBECONFIG, or repair this one.",
  ],
  [
    "The connection to the server 127.0.0.1:9 was refused - did you specify the right host or port?\n",
    "Nothing listens at 127.0.0.1:9, where the API server should be.\nStart that cluster.",
  ],
  [
    "Unable to connect to the server: dial tcp: lookup nope.invalid on 10.0.0.2:53: no such host\n",
    "The name nope.invalid of the API server is not known here.\nLook whether you need a VPN, and whether that cluster still exists.",
  ],
  [
    "error: You must be logged in to the server (Unauthorized)\n",
    "The API server refuses your credentials.\nLog in to that cluster again.",
  ],
  ["error: EOF\n", "The API server refuses your credentials.\nLog in to that cluster again."],
  [
    "Unable to connect to the server: tls: failed to verify certificate: x509: certificate signed by unknown authority\n",
    "The certificate of the API server cannot be trusted.\nFetch the kubeconfig of that cluster again.",
  ],
  [
    "Unable to connect to the server: dial tcp 10.9.9.9:6443: i/o timeout\n",
    "The API server does not answer in time.\nLook at the way to it: VPN, firewall, the cluster itself.",
  ],
  ["one\ntwo\n", "The API server cannot be asked: two\n`kubectl get nodes` with the same context has to work first."],
];

describe("a cluster that cannot be asked", () => {
  it("is told in our words, with what to do", () => {
    for (const [kubectl, told] of CASES) assert.equal(describeFault(unreachable(kubectl, "prod")), told);
  });

  it("is mended by make up when it is the local one", () => {
    for (const [kubectl] of CASES)
      assert.match(describeFault(unreachable(kubectl, undefined)), /\n`make up` repairs the local cluster, /);
  });
});
