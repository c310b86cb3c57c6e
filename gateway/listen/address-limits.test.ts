// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LoginTry } from "../session/client-limits.ts";
import type { Pace } from "../session/pace.ts";
import { AddressLimits, addressKey } from "./address-limits.ts";

const NONE = { connections: undefined, maxOpen: undefined, failedLogins: undefined };

function withClients(failedLogins: Pace, ...addresses: string[]): AddressLimits {
  const limits = new AddressLimits({ ...NONE, failedLogins });
  for (const address of addresses) limits.opened(addressKey(address), 0);
  return limits;
}

/** @throws when the address must wait */
function begun(limits: AddressLimits, address: string, nowMs: number): LoginTry {
  const login = limits.beginLogin(address, nowMs);
  assert.ok(typeof login !== "number", `${address} must wait for ${login} ms`);
  return login;
}

describe("address keys", () => {
  const keys: [string, string][] = [
    ["203.0.113.7", "203.0.113.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::1", "2001:db8:1:2::/64"],
    ["2001:0db8:0001:0002:ffff::", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:db8:0:0:0:0:0:7", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["::", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["1::", "1:0:0:0::/64"],
  ];
  for (const [address, key] of keys) it(`${address} is ${key}`, () => assert.equal(addressKey(address), key));
});

describe("limits per address", () => {
  it("bound new connections per second, with a burst, each address by itself", () => {
    const limits = new AddressLimits({ ...NONE, connections: { perSecond: 2, burst: 5 } });
    const opened = (key: string, nowMs: number): boolean => limits.opened(key, nowMs) === undefined;
    for (let i = 0; i < 5; i++) assert.ok(opened("a", 1000));
    assert.equal(limits.opened("a", 1000), "address_rate");
    assert.ok(opened("b", 1000));
    assert.ok(!opened("a", 1499));
    assert.ok(opened("a", 1500));
    assert.ok(!opened("a", 1500));
  });

  it("bound connections at a time", () => {
    const limits = new AddressLimits({ ...NONE, maxOpen: 2 });
    assert.equal(limits.opened("a", 0), undefined);
    assert.equal(limits.opened("a", 0), undefined);
    assert.equal(limits.opened("a", 0), "address_open");
    assert.equal(limits.opened("b", 0), undefined);
    limits.closed("a");
    assert.equal(limits.opened("a", 0), undefined);
    assert.equal(limits.addresses, 2);
    limits.closed("a");
    limits.closed("a");
    limits.closed("b");
    assert.equal(limits.addresses, 0, "nothing is kept of those who went");
  });

  it("bound failed logins; those that succeed cost nothing", () => {
    const limits = withClients(
      { perSecond: 1, burst: 3 },
      "203.0.113.7",
      "203.0.113.8",
      "2001:db8::",
      "2001:db8:0:1::",
    );
    for (let i = 0; i < 100; i++) begun(limits, "203.0.113.7", 0).end(false, 0);
    for (let i = 0; i < 3; i++) begun(limits, "203.0.113.7", 0).end(true, 0);
    assert.equal(limits.beginLogin("203.0.113.7", 0), 1000);
    begun(limits, "203.0.113.8", 0).end(false, 0);
    begun(limits, "203.0.113.7", 1000).end(false, 1000);
    for (let i = 0; i < 3; i++) begun(limits, "2001:db8::1", 0).end(true, 0);
    assert.equal(limits.beginLogin("2001:db8::2", 0), 1000, "the same /64");
    begun(limits, "2001:db8:0:1::1", 0).end(false, 0);
  });

  it("count logins that are under way as if they failed: no more guesses at once than may fail", () => {
    const limits = withClients({ perSecond: 1, burst: 60 }, "203.0.113.7", "203.0.113.8");
    const underWay = Array.from({ length: 60 }, () => begun(limits, "203.0.113.7", 0));
    assert.equal(limits.beginLogin("203.0.113.7", 0), 1000);
    begun(limits, "203.0.113.8", 0).end(false, 0);
    assert.equal(limits.beginLogin("203.0.113.7", 500), 1000, "time alone allows none while they are open");
    underWay.pop()?.end(false, 500);
    underWay.push(begun(limits, "203.0.113.7", 500));
    for (const login of underWay) login.end(true, 500);
    assert.equal(limits.beginLogin("203.0.113.7", 500), 1000, "others behind the address come in soon");
    begun(limits, "203.0.113.7", 1500).end(true, 1500);
    assert.equal(limits.beginLogin("203.0.113.7", 1500), 1000, "and the burst is still used up");
    assert.equal(limits.loginsUnderWay, 0);
  });

  it("keep nothing of logins that ended, whatever became of their sockets", () => {
    const limits = withClients({ perSecond: 1, burst: 2 }, "203.0.113.7");
    const [first, second] = [begun(limits, "203.0.113.7", 0), begun(limits, "203.0.113.7", 0)];
    limits.closed("203.0.113.7");
    first.end(true, 0);
    second.end(true, 0);
    assert.equal(limits.loginsUnderWay, 0);
    limits.opened("203.0.113.7", 0);
    assert.equal(limits.beginLogin("203.0.113.7", 0), 1000, "counted all the same");
  });

  it("count no logins of peers that nobody told to be clients", () => {
    const limits = withClients({ perSecond: 1, burst: 1 });
    const early = Array.from({ length: 10 }, () => begun(limits, "10.0.0.1", 0));
    assert.equal(limits.loginsUnderWay, 0);
    limits.opened("10.0.0.1", 0);
    const login = begun(limits, "10.0.0.1", 0);
    for (const other of early) other.end(true, 0);
    assert.equal(limits.loginsUnderWay, 1, "theirs are not this one");
    login.end(true, 0);
    assert.equal(limits.beginLogin("10.0.0.1", 0), 1000);
  });

  it("without limits: ten thousand phones behind one address", () => {
    const limits = new AddressLimits(NONE);
    for (let i = 0; i < 10_000; i++) assert.equal(limits.opened("a", 0), undefined);
    for (let i = 0; i < 10_000; i++) begun(limits, "a", 0);
  });
});
