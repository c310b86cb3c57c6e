// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import type { ImCluster } from "../../operator/api/v1alpha1.ts";
import { parseServer } from "../commands/doctor.ts";
import { imageValues } from "../commands/install.ts";
import { PLAIN } from "../text.ts";
import type { TlsFacts } from "./dial.ts";
import {
  bad,
  certificateFindings,
  conditionFindings,
  dialFindings,
  findingsText,
  loginFinding,
  ok,
  warning,
} from "./findings.ts";

const NOW_MS = Date.parse("2026-11-26T12:00:00Z");
const DAY_MS = 86_400_000;
const TARGET = { host: "im.example.com", port: 443, serverName: "im.example.com", ca: undefined };
const SEEN: TlsFacts = {
  ...{ kind: "ok", addresses: ["192.0.2.1", "192.0.2.2"], connectMs: 12.4, handshakeMs: 20.6, protocol: "TLSv1.3" },
  ...{
    cipher: "TLS_AES_256_GCM_SHA384",
    distrust: "",
    notAfterMs: NOW_MS + 90 * DAY_MS,
    names: "im.example.com",
    issuer: "R1",
  },
};

describe("findings", () => {
  it("tell the way to the fleet, and what is slow", () => {
    assert.deepEqual(dialFindings(TARGET, SEEN), [
      ok("connect", "im.example.com:443 (192.0.2.1, 192.0.2.2) in 12 ms, TLS in 21 ms: TLSv1.3 TLS_AES_256_GCM_SHA384"),
    ]);
    const [slow] = dialFindings(TARGET, { ...SEEN, handshakeMs: 900 });
    assert.equal(slow?.verdict, "warning");
    for (const stage of ["dns", "tcp", "tls"] as const) {
      const [finding] = dialFindings(TARGET, { kind: "failed", stage, problem: "it is so" });
      assert.deepEqual(
        [finding?.check, finding?.verdict, finding?.text],
        [stage, "bad", "im.example.com:443: it is so"],
      );
      assert.notEqual(finding?.remedy, "");
    }
  });

  it("judge the certificate by trust, then by its end", () => {
    const verdict = (over: Partial<TlsFacts>) => certificateFindings({ ...SEEN, ...over }, TARGET, NOW_MS)[0];
    assert.deepEqual(
      verdict({}),
      ok("certificate", "trusted as im.example.com, ends in 90d (2027-02-24); for im.example.com by R1"),
    );
    assert.equal(verdict({ notAfterMs: NOW_MS + 10 * DAY_MS })?.verdict, "warning");
    assert.equal(verdict({ notAfterMs: NOW_MS + 2 * DAY_MS })?.verdict, "bad");
    for (const distrust of [
      "CERT_HAS_EXPIRED",
      "ERR_TLS_CERT_ALTNAME_INVALID",
      "SELF_SIGNED_CERT_IN_CHAIN",
      "SOMETHING_NEW",
    ]) {
      const found = verdict({ distrust });
      assert.deepEqual([found?.verdict, found?.text.includes(distrust)], ["bad", true]);
      assert.notEqual(found?.remedy, "", distrust);
    }
  });

  it("judge logins: welcome, refused with its cure, refused as hoped for, not answered", () => {
    const welcome = { kind: "welcome", entry: "demo-entry-a", user: "im-doctor", ms: 17.2 } as const;
    assert.deepEqual(
      loginFinding("tcp", welcome, false),
      ok("raw TCP", "WELCOME as im-doctor from demo-entry-a in 17 ms"),
    );
    const refused = (code: number, isProbe = false) =>
      loginFinding("ws", { kind: "refused", code, reason: "why", ms: 5 }, isProbe);
    assert.deepEqual(
      refused(DisconnectCode.TOKEN_INVALID, true),
      ok("WebSocket", "entry and logic answer in 5 ms: a made-up token is refused"),
    );
    assert.deepEqual(refused(DisconnectCode.TOKEN_INVALID).text, "login refused with 4510 token_invalid: why");
    assert.equal(refused(DisconnectCode.LOGIC_UNAVAILABLE, true).verdict, "bad");
    for (const code of [...Object.values(DisconnectCode), 4999])
      assert.notEqual(refused(code).remedy, "", String(code));
    const failed = loginFinding("http", { kind: "failed", problem: "no answer in 10 ms" }, false);
    assert.deepEqual([failed.verdict, failed.text], ["bad", "no answer in 10 ms"]);
  });

  it("take over what the operator knows", () => {
    const cluster = (conditions: object[]): ImCluster =>
      ({
        metadata: { name: "demo" },
        status: { phase: "Ready", phaseReason: "serves", conditions },
      }) as unknown as ImCluster;
    assert.deepEqual(conditionFindings(cluster([{ type: "Ready", status: "True" }])), [
      ok("operator", "Ready: serves"),
    ]);
    assert.match(conditionFindings(cluster([]))[0]?.text ?? "", /no operator looks after demo/);
    const wrong = conditionFindings(cluster([{ type: "StoreReady", status: "False", message: "no answer" }]));
    assert.deepEqual(
      wrong.map(({ verdict, text }) => [verdict, text]),
      [["bad", "StoreReady is False: no answer"]],
    );
    assert.match(wrong[0]?.remedy ?? "", /PostgreSQL/);
  });

  it("are a list with what to do behind it", () => {
    const findings = [
      ok("connect", "fine"),
      warning("port 80", "closed", "open it"),
      bad("raw TCP", "cut", "look there"),
    ];
    assert.equal(
      findingsText("Fleet at x", findings, PLAIN),
      `Fleet at x

ok       connect  fine
warning  port 80  closed
bad      raw TCP  cut

What to do
port 80: open it
raw TCP: look there
`,
    );
    assert.equal(findingsText("F", [ok("a", "b")], PLAIN), "F\n\nok  a  b\n\nNothing is wrong as seen from here.\n");
  });
});

describe("parseServer", () => {
  it("takes a host, with or without a port, and IPv6 in brackets", () => {
    assert.deepEqual(parseServer("im.example.com"), { host: "im.example.com", port: 443 });
    assert.deepEqual(parseServer("192.0.2.1:8443"), { host: "192.0.2.1", port: 8443 });
    assert.deepEqual(parseServer("[2001:db8::1]:8443"), { host: "2001:db8::1", port: 8443 });
    for (const text of ["", ":443", "a:b", "a:0", "a:65536", "2001:db8::1", "[x]:1"])
      assert.throws(() => parseServer(text), /--server takes HOST or HOST:PORT/, text);
  });
});

describe("imageValues", () => {
  it("splits an image as the chart wants it", () => {
    const values = (image: string) =>
      Object.fromEntries(
        imageValues(image)
          .filter((word) => word.includes("="))
          .map((word) => word.split("=")),
      );
    assert.deepEqual(values("r.example:5000/a/im:1.2"), {
      "image.repository": "r.example:5000/a/im",
      "image.tag": "1.2",
      "image.digest": "",
    });
    assert.deepEqual(values("r.example:5000/im"), {
      "image.repository": "r.example:5000/im",
      "image.tag": "",
      "image.digest": "",
    });
    assert.deepEqual(values("im:1@sha256:ab"), {
      "image.repository": "im",
      "image.tag": "1",
      "image.digest": "sha256:ab",
    });
  });
});
