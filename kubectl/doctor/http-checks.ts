// SPDX-License-Identifier: Apache-2.0
import { type RequestOptions, request as requestPlain } from "node:http";
import { request as requestTls } from "node:https";
import { hostPort } from "#lib/host-port.ts";
import { type DialPorts, messageOf, type Target, tlsOptions } from "./dial.ts";
import { bad, type Finding, ok, warning } from "./findings.ts";

const MAX_BODY_CHARS = 64 * 1024;

interface Answer {
  status: number;
  location: string;
  body: string;
}

/** Other addresses that clients are told. */
export async function endpointsFinding(target: Target, ports: DialPorts): Promise<Finding> {
  const check = "other addresses";
  try {
    const headers = { host: hostPort(target.serverName, target.port) };
    const { status, body } = await get(requestTls, { ...tlsOptions(target), path: "/v1/endpoints", headers }, ports);
    if (status !== 200)
      return bad(
        check,
        `GET /v1/endpoints is answered with ${status}`,
        "Does HTTP get through to the entries unchanged?",
      );
    const { endpoints } = JSON.parse(body) as { endpoints: { address: string }[] };
    return ok(check, `clients are told ${endpoints.map(({ address }) => address).join(", ")}`);
  } catch (error) {
    return bad(check, `GET /v1/endpoints: ${messageOf(error)}`, "Does HTTP get through to the entries unchanged?");
  }
}

/** Port 80 leads to 443. */
export async function redirectFinding({ host, serverName }: Target, port: number, ports: DialPorts): Promise<Finding> {
  const check = `port ${port}`;
  const remedy =
    "Browsers that are given a bare host name begin there: let port 80 of the Service through. Clients of the SDK do not need it.";
  try {
    const { status, location } = await get(
      requestPlain,
      { host, port, path: "/", headers: { host: serverName } },
      ports,
    );
    if (status === 308 && location.startsWith("https://")) return ok(check, `leads to ${location}`);
    return warning(check, `is answered with ${status}, not with a redirect to https`, remedy);
  } catch (error) {
    return warning(check, messageOf(error), remedy);
  }
}

function get(
  send: typeof requestPlain | typeof requestTls,
  options: RequestOptions,
  { clock, timeoutMs, signal }: DialPorts,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = send({ ...options, method: "GET", agent: false, signal }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        body += text;
        if (body.length > MAX_BODY_CHARS) sent.destroy(new Error("the answer does not end"));
      });
      response.on("error", reject);
      response.on("end", () => {
        cancel();
        resolve({ status: response.statusCode ?? 0, location: response.headers.location ?? "", body });
      });
    });
    const cancel = clock.after(timeoutMs, () => sent.destroy(new Error(`no answer in ${timeoutMs} ms`)));
    sent.on("error", (error) => {
      cancel();
      reject(error);
    });
    sent.end();
  });
}
