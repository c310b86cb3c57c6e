// SPDX-License-Identifier: Apache-2.0
import { ClusterFault } from "../cluster/fault.ts";

const SHOWN_CHARS = 300;

/** What kubectl says, by what it means: the first that fits. */
const MEANINGS: readonly (readonly [RegExp, (found: RegExpExecArray) => string, string])[] = [
  [
    /context "?([^"\n]*?)"? does not exist|context was not found for specified context: (.*)/,
    ([, name, other]) => `Your kubeconfig has no context "${name ?? other}".`,
    "`kubectl config get-contexts` lists those that it has; KUBECONFIG names another file.",
  ],
  [
    /error loading config file "([^"]*)"/,
    ([, file]) => `${file} is no kubeconfig that kubectl can read.`,
    "Name another with KUBECONFIG, or repair this one.",
  ],
  [
    /connection to the server (\S+) was refused/,
    ([, server]) => `Nothing listens at ${server}, where the API server should be.`,
    "Start that cluster.",
  ],
  [
    /lookup (\S+?)(?: on \S+)?: (?:no such host|.*temporary failure|server misbehaving)/i,
    ([, host]) => `The name ${host} of the API server is not known here.`,
    "Look whether you need a VPN, and whether that cluster still exists.",
  ],
  [
    /Unauthorized|must be logged in|provide credentials|Username: |^error: EOF$/m,
    () => "The API server refuses your credentials.",
    "Log in to that cluster again.",
  ],
  [
    /x509|certificate/,
    () => "The certificate of the API server cannot be trusted.",
    "Fetch the kubeconfig of that cluster again.",
  ],
  [
    /i\/o timeout|deadline exceeded|Client\.Timeout|TLS handshake timeout|no route to host|network is unreachable/,
    () => "The API server does not answer in time.",
    "Look at the way to it: VPN, firewall, the cluster itself.",
  ],
];

/** Why a cluster cannot be asked, from what kubectl wrote, and what to do; `context` is undefined for the local cluster. Pure. */
export function unreachable(stderr: string, context: string | undefined): ClusterFault {
  const [what, otherwise] = meaningOf(stderr);
  // Whatever befell our own cluster: one command mends it.
  const remedy = context === undefined ? "`make up` repairs the local cluster, `make down` removes it." : otherwise;
  return new ClusterFault(what, remedy);
}

function meaningOf(stderr: string): [what: string, remedy: string] {
  for (const [pattern, say, remedy] of MEANINGS) {
    const found = pattern.exec(stderr);
    if (found) return [say(found), remedy];
  }
  const last = stderr.trim().split("\n").at(-1)?.slice(0, SHOWN_CHARS) || "kubectl said nothing";
  return [`The API server cannot be asked: ${last}`, "`kubectl get nodes` with the same context has to work first."];
}
