// SPDX-License-Identifier: Apache-2.0
import { ImError } from "#lib/errors.ts";
import { KubeError } from "../operator/kube/kube-error.ts";

/** Exit codes; see docs/kubectl-im.md. Scripts rely on them: never change their meaning. */
export const EXIT = {
  ok: 0,
  /** The cluster refused, did not answer, or has no such thing. */
  failed: 1,
  /** The command line is wrong; nothing was asked of the cluster. */
  usage: 2,
  /** The command worked, and what it looked at is not in order. */
  unhealthy: 3,
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What a person reads instead of a stack: what is wrong, and what to do about it. */
export class CliFault extends Error {
  readonly remedy: string;
  readonly exitCode: ExitCode;

  constructor(message: string, remedy: string, options: ErrorOptions & { exitCode?: ExitCode } = {}) {
    super(message, options);
    this.name = "CliFault";
    this.remedy = remedy;
    this.exitCode = options.exitCode ?? EXIT.failed;
  }
}

/** A wrong command line. */
export function usageFault(message: string, command?: string): CliFault {
  const remedy = command
    ? `\`kubectl im help ${command}\` shows how it is used.`
    : "`kubectl im help` lists the commands.";
  return new CliFault(message, remedy, { exitCode: EXIT.usage });
}

/** What was thrown, with a remedy. */
export function faultOf(thrown: unknown): CliFault {
  if (thrown instanceof CliFault) return thrown;
  if (thrown instanceof KubeError) return new CliFault(thrown.message, kubeRemedy(thrown), { cause: thrown });
  if (thrown instanceof ImError) return new CliFault(thrown.message, imRemedy(thrown), { cause: thrown });
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new CliFault(message, "This is a fault of kubectl im itself: please report it with the command you ran.", {
    cause: thrown,
  });
}

function kubeRemedy(error: KubeError): string {
  switch (error.status) {
    case 401:
      return "Log in to the cluster again: the API server does not know these credentials.";
    case 403:
      return "Ask for the right that it names; docs/kubectl-im.md lists what each command needs.";
    case 404:
      return "Is the operator installed? `kubectl im install generate | kubectl apply -f -` installs it, with the kind ImCluster.";
    case 409:
      return "Somebody changed it at the same time: run the command again.";
    case 422:
    case 400:
      return "Correct what the message names.";
    case 429:
      return "The API server is busy, or a budget does not allow it now: wait and run the command again.";
    case 0:
      return unansweredRemedy(error);
    default:
      return error.retryable ? "Run the command again in a moment." : "Look at the API server's log.";
  }
}

function unansweredRemedy({ reason }: KubeError): string {
  if (reason === "Config") return "Name a kubeconfig by --kubeconfig or KUBECONFIG, and a context by --context.";
  if (reason === "Timeout")
    return "Give it more time by --timeout, or look whether the API server and the node answer.";
  if (reason === "TooLarge") return "Ask for less, for example by --since or --tail.";
  return "Is the API server of this context reachable? `kubectl cluster-info` asks the same; --context chooses another.";
}

function imRemedy({ retryable }: ImError): string {
  return retryable ? "Run the command again in a moment." : "Correct what the message names.";
}
