import { describe, expect, it } from "vitest";
import { login } from "./login.ts";

const REFUSED = new Error("16 UNAUTHENTICATED: etcd refused the token");

describe("login", () => {
  it("logs in once for calls that begin together, and once more for all that are refused together", async () => {
    let logins = 0;
    const session = login(async () => `token ${++logins}`);
    const call = async (): Promise<string> => {
      if (logins < 2) throw REFUSED;
      return "done";
    };
    await expect(Promise.all([session.run(call), session.run(call), session.run(call)])).resolves.toEqual([
      "done",
      "done",
      "done",
    ]);
    expect(logins).toBe(2);
  });

  it("gives up on a server that refuses its own tokens", async () => {
    let calls = 0;
    const session = login(async () => "token");
    const refused = session.run(async () => {
      calls++;
      throw REFUSED;
    });
    await expect(refused).rejects.toBe(REFUSED);
    expect(calls).toBe(2);
  });

  it("tries a failed login anew with the next call", async () => {
    let logins = 0;
    const session = login(async () => {
      if (++logins === 1) throw new Error("away");
      return "token";
    });
    await expect(session.run(async () => "done")).rejects.toThrow("away");
    await expect(session.run(async () => "done")).resolves.toBe("done");
  });
});
